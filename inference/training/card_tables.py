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


def each_value(value: Mapping[str, Any]) -> str:
    """An object as a JSON file holds it -> a table by name; objects within it get a row for each name."""
    rows: list[list[str]] = []
    for name, one in value.items():
        parts = one.items() if isinstance(one, Mapping) else [("", one)]
        rows += [[f"{name} {part}".strip(), _cell(inner)] for part, inner in parts]
    return markdown(["", ""], rows)


def ablation_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of `ablation.json` -> table: each variant's size and macro-AUROC by lead."""
    leads = [name for name, one in rows[0].items() if isinstance(one, Mapping)]
    header = ["network", "parameters", "MMAC", *(f"lead {lead}: macro-AUROC (95 %)" for lead in leads)]
    return markdown(
        header,
        [
            [
                row["variant"],
                f"{row['parameters']:,}",
                f"{row['mmac']:.0f}",
                *(f"{number(row[lead]['macro_auroc'])} {span(row[lead]['ci95'])}" for lead in leads),
            ]
            for row in rows
        ],
    )


def rhythm_table(figures: Mapping[str, Any]) -> str:
    """Figures of `rhythm.json` -> table: F1 of recordings and windows by rhythm."""
    names = list(figures["f1"])
    window = figures["window"]
    return markdown(
        ["out of fold", *names, "mean of the first three"],
        [
            [
                "recordings: F1 (95 %)",
                *(f"{number(figures['f1'][n])} {span(figures['ci95']['f1'][n])}" for n in names),
                f"{number(figures['mean_f1'])} {span(figures['ci95']['mean_f1'])}",
            ],
            ["10 s windows: F1", *(number(window["f1"][n]) for n in names), number(window["mean_f1"])],
            ["10 s windows: AUROC", *(number(window["auroc"][n]) for n in names), NOTHING],
            ["10 s windows: called AF", *(share(window["called_af"][n]) for n in names), NOTHING],
            ["10 s windows: called noisy", *(share(window["called_noisy"][n]) for n in names), NOTHING],
        ],
    )


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
