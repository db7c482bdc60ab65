"""Print the table of all sentences as Markdown: `python -m inference.narrative`, for docs/narrative.md."""

import sys

from inference.narrative.sentences import SENTENCES, Section


def table() -> str:
    """One table a section."""
    parts = []
    for section in Section:
        rows = [
            f"| `{each.key}` | {each.condition} | {each.text} | {'fixed' if each.is_fixed else ''} |"
            for each in SENTENCES
            if each.section is section
        ]
        parts.append(
            "\n".join([f"### {section}", "", "| key | said when | sentence | |", "|---|---|---|---|", *rows])
        )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
