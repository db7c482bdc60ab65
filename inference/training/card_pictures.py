"""What the evaluation judged becomes the card's pictures: reliability, ROC, and risk against coverage."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from inference.training.figures import COLUMNS
from inference.training.judged import Judged
from inference.training.metrics import ECE_BINS, auroc, risk_at_coverage

RELIABILITY_NAME, ROC_NAME, RISK_NAME = "card_reliability.png", "card_roc.png", "card_risk.png"
PANEL_INCHES = (1.9, 2.25)
DPI = 90
COLOURS = ("#1f5fa8", "#c2571a", "#3c7d4b")  # of the leads in order; told apart by those blind to red too
STYLES = ("-", "--", ":")

Draw = Callable[[Axes, Judged, int, str, str], None]


def draw_pictures(judged: Mapping[str, Judged], folder: Path) -> list[Path]:
    """Judged recordings by lead -> three PNG files in the folder, one panel a class, one line a lead."""
    return [
        _save(judged, folder / RELIABILITY_NAME, _reliability, "stated probability", "observed share"),
        _save(judged, folder / ROC_NAME, _roc, "false positive share", "sensitivity"),
        _save(judged, folder / RISK_NAME, _risk, "share decided", "share wrong"),
    ]


def _save(judged: Mapping[str, Judged], path: Path, draw: Draw, across: str, up: str) -> Path:
    figure = Figure(figsize=(PANEL_INCHES[0] * len(COLUMNS), PANEL_INCHES[1]), layout="constrained")
    panels = figure.subplots(1, len(COLUMNS), sharey=True)
    for panel, (name, c) in zip(panels, COLUMNS.items(), strict=True):
        panel.set_title(name, fontsize=9)
        panel.set_xlabel(across, fontsize=7)
        panel.tick_params(labelsize=7)
        panel.grid(visible=True, color="0.9", linewidth=0.5)
        for i, (lead, one) in enumerate(judged.items()):
            if one.has[:, c].any() and not one.has[:, c].all():
                draw(panel, one, c, f"lead {lead}", COLOURS[i % len(COLOURS)])
                panel.lines[-1].set_linestyle(STYLES[i % len(STYLES)])
        if panel.lines:
            panel.legend(fontsize=6, loc="best", frameon=False)
    panels[0].set_ylabel(up, fontsize=7)
    panels[0].set_ylim(bottom=0)  # of all panels, once everything is drawn
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})  # the same figures give the same file
    return path


def _reliability(panel: Axes, judged: Judged, c: int, label: str, colour: str) -> None:
    """Ten equally full bins, as in the calibration error; bars are 95 % of what chance allows each share."""
    probability, has = judged.probability[:, c], judged.has[:, c]
    bins = [rows for rows in np.array_split(np.argsort(probability, kind="stable"), ECE_BINS) if len(rows)]
    stated = np.array([probability[rows].mean() for rows in bins])
    observed = np.array([has[rows].mean() for rows in bins])
    spread = 1.96 * np.array([np.sqrt(np.mean(probability[r] * (1 - probability[r])) / len(r)) for r in bins])
    panel.plot([0, 1], [0, 1], color="0.6", linewidth=0.7, zorder=0)
    panel.errorbar(stated, observed, yerr=spread, fmt="none", ecolor=colour, elinewidth=0.6, alpha=0.5)
    panel.plot(stated, observed, color=colour, linewidth=1.1, marker="o", markersize=2, label=label)


def _roc(panel: Axes, judged: Judged, c: int, label: str, colour: str) -> None:
    false, true = _roc_points(judged.logits[:, c], judged.has[:, c])
    panel.plot([0, 1], [0, 1], color="0.6", linewidth=0.7, zorder=0)
    area = auroc(judged.targets[:, c], judged.logits[:, c])
    panel.plot(false, true, color=colour, linewidth=1.1, label=f"{label}: {area:.2f}")


def _risk(panel: Axes, judged: Judged, c: int, label: str, colour: str) -> None:
    """Errors of the likelier answer, given only where it is most certain."""
    coverage = np.linspace(0.05, 1.0, 39)
    likelier = judged.probability[:, c] >= 0.5
    wrong = likelier != judged.has[:, c]
    risk = risk_at_coverage(np.abs(judged.probability[:, c] - 0.5), wrong, coverage)
    panel.plot(coverage, risk, color=colour, linewidth=1.1, label=label)


def _roc_points(
    scores: NDArray[np.floating], has: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) twice -> false and true positive shares at each distinct score, from none found to all."""
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    true = np.cumsum(has[order])[last_of_tie] / has.sum()
    false = np.cumsum(~has[order])[last_of_tie] / (~has).sum()
    return np.r_[0.0, false], np.r_[0.0, true]
