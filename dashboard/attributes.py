"""HTML attributes with a hyphen, which Python cannot write as keywords."""

from typing import Any


def attributes(**values: str) -> dict[str, Any]:
    """`attributes(aria_label="x")` -> `{"aria-label": "x"}`, to unpack into a Dash element."""
    return {name.replace("_", "-"): value for name, value in values.items()}
