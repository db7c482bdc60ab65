"""What a method returns: one window's logit, shared out over its moments and over its plot."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """All values are logits of one superclass; positive speaks for it."""

    to_time: NDArray[np.float32]  # (1000,) at 100 Hz
    to_plot: NDArray[np.float32] | None  # (lags, 1000) in the rows' order of `recurrence.LAGS`
    effect: float  # what `to_time` should add up to
    completeness_error: float  # |sum of to_time - effect|
