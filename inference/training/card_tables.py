"""Figures become cells and Markdown tables."""

from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "--"


def number(value: Any, decimals: int = 3) -> str:
    """0.8534 -> 0.853; None -> --."""
    return NOTHING if value is None else f"{value:.{decimals}f}"


def share(value: float | None) -> str:
    """0.125 -> 12%; None -> --."""
    return NOTHING if value is None else f"{value:.0%}"


def span(limits: Sequence[float] | None, decimals: int = 3) -> str:
    """An interval in brackets; nothing where there is none."""
    return "" if limits is None else f"({limits[0]:.{decimals}f} to {limits[1]:.{decimals}f})"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Header and rows of equal length -> Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def each_value(value: Any) -> str:
    """Whatever a JSON file holds -> tables: a list of objects by row, an object by name."""
    if isinstance(value, Mapping):
        return markdown(["", ""], [[str(name), _cell(one)] for name, one in value.items()])
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        columns = list(dict.fromkeys(name for one in value for name in one))
        return markdown(columns, [[_cell(one.get(name)) for name in columns] for one in value])
    return _cell(value)


def _cell(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_cell(one) for one in value)
    return str(value)
