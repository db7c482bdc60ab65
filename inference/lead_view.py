"""Which lead a window looks like: told by the device and checked, or not told and recognised.

The network answers this beside the superclasses, from the same recurrence plot: lead I or II, either upside
down (swapped electrodes), or any other lead. The limits are fitted with the calibration and frozen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from inference.verdict import Indeterminate

Floats = NDArray[np.floating]

SERVED_LEADS = ("I", "II")  # each has superclass logits of its own

FALSE_INVERSION = 0.01  # share of upright windows of a told lead that may be called upside down
RECOGNITION_ERROR = 0.05  # share of recognised windows that may be of another lead
MIN_RECOGNISED = 0.5  # never believe in a lead that is less likely than everything else together
MIN_INVERTED = 0.05  # windows upside down are rare in training, so their probability stays low


class LeadView(StrEnum):
    """What the network can take a window for."""

    LEAD_I = "I"
    LEAD_II = "II"
    INVERTED_I = "-I"
    INVERTED_II = "-II"
    OTHER = "other"


INVERTED = {LeadView.LEAD_I: LeadView.INVERTED_I, LeadView.LEAD_II: LeadView.INVERTED_II}
VIEWS = tuple(LeadView)


@dataclass(frozen=True, slots=True)
class LeadLimits:
    """Probabilities above which a view is believed; above 1 means never."""

    inverted: dict[str, float]  # by told lead
    recognised: dict[str, float]  # by lead

    def read(self, probabilities: Floats, told: str | None) -> LeadView | Indeterminate:
        """The lead as which a window is to be read, or why it is not.

        Args:
            probabilities: (5,) in LeadView order.
            told: the lead the device named, one of those the model was trained on; None if it named none.
        """
        if told is not None:
            view = LeadView(told)
            upside_down = probabilities[VIEWS.index(INVERTED[view])] > self.inverted[view]
            return Indeterminate.INVERTED if upside_down else view
        for view in INVERTED:
            if probabilities[VIEWS.index(view)] > self.recognised[view]:
                return view
        return Indeterminate.UNKNOWN_LEAD


def softmax(logits: Floats) -> NDArray[np.float64]:
    """(n, classes) -> (n, classes) of sum 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def fit_limits(by_view: Mapping[LeadView, Floats]) -> LeadLimits:
    """Probabilities of windows whose view is known -> limits.

    Args:
        by_view: (n, 5) probabilities in LeadView order of windows that are of each view.

    Returns:
        For a told lead the limit that at most 1 % of its upright windows pass as upside down; for an untold
        one the lowest limit above which 95 % of windows are of that lead, were all views as frequent.
    """
    inverted, recognised = {}, {}
    for view, opposite in INVERTED.items():
        upright = by_view[view][:, VIEWS.index(opposite)]
        inverted[view.value] = max(
            MIN_INVERTED, float(np.quantile(upright, 1 - FALSE_INVERSION, method="higher"))
        )
        column = VIEWS.index(view)
        score = np.concatenate([probabilities[:, column] for probabilities in by_view.values()])
        right = np.concatenate(
            [np.full(len(probabilities), of is view) for of, probabilities in by_view.items()]
        )
        weight = np.concatenate([np.full(len(one), 1 / len(one)) for one in by_view.values()])
        recognised[view.value] = _lowest_limit(score, right, weight)
    return LeadLimits(inverted, recognised)


def _lowest_limit(score: Floats, right: NDArray[np.bool_], weight: Floats) -> float:
    """The lowest limit, MIN_RECOGNISED or more, above which windows are right often enough; 1 without one."""
    order = np.argsort(-score, kind="stable")
    share_right = np.cumsum((right * weight)[order]) / np.cumsum(weight[order])
    good = np.flatnonzero((share_right >= 1 - RECOGNITION_ERROR) & (score[order] > MIN_RECOGNISED))
    if len(good) == 0:
        return 1.0
    last = int(good[-1])
    below = score[order[last + 1]] if last + 1 < len(order) else MIN_RECOGNISED
    return float(max(MIN_RECOGNISED, (score[order[last]] + below) / 2))
