"""HTML attributes with a hyphen, which Python cannot write as keywords."""

from typing import Any


def field(name: str) -> dict[str, Any]:
    """The attribute by which a page's script finds what it fills."""
    return attributes(data_field=name)


def attributes(**values: str) -> dict[str, Any]:
    """`attributes(aria_label="x")` -> `{"aria-label": "x"}`, to unpack into a Dash element."""
    return {name.replace("_", "-"): value for name, value in values.items()}
