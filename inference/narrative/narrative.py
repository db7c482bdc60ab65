"""Facts -> a few plain sentences, always the same for the same facts."""

from dataclasses import dataclass

from inference.narrative.facts import ABNORMAL, Facts
from inference.narrative.sentences import SENTENCES, Section, Sentence

TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence of a narrative; `key` is its row in the table."""

    key: str
    section: Section
    text: str
    is_fixed: bool


@dataclass(frozen=True, slots=True)
class Narrative:
    """What is said, in order. `source` is "template", or the name of the model that chose the words."""

    sentences: tuple[Said, ...]
    source: str = TEMPLATE
    note: str | None = None  # why the template is shown although a model was asked; for people

    @property
    def text(self) -> str:
        """A paragraph a section, each under its heading."""
        parts = [f"{section}\n{self.of(section)}" for section in Section if self.of(section)]
        return "\n\n".join(parts)

    def of(self, section: Section) -> str:
        """The sentences of one section."""
        return " ".join(each.text for each in self.sentences if each.section is section)


def narrate(facts: Facts) -> Narrative:
    """Every sentence of the table whose condition holds."""
    values = _values(facts)
    return Narrative(tuple([_say(each, values) for each in SENTENCES if each.applies(facts)]))


def _say(sentence: Sentence, values: dict[str, str]) -> Said:
    text = sentence.text.format_map(values)
    return Said(sentence.key, sentence.section, text, sentence.is_fixed)


def _values(facts: Facts) -> dict[str, str]:
    values = {
        "length": _length(facts.length_s),
        "lead": facts.lead or "",
        "rate": "" if facts.heart_rate_bpm is None else f"{facts.heart_rate_bpm:.0f}",
        "readable": _percent(facts.readable_share),
        "rhythm": _percent(facts.rhythm_probability),
    }
    for superclass in ABNORMAL:
        found = facts.finding(superclass)
        values[superclass.lower()] = _percent(None if found is None else found.probability)
    return values


def _percent(share: float | None) -> str:
    """Whole per cent, never a certainty."""
    return "" if share is None else f"{min(99, max(1, round(100 * share)))}"


def _length(seconds: float | None) -> str:
    if seconds is None:
        return "a stretch"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
