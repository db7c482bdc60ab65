"""Numbers become figures as JSON carries them: rounded, by class, with intervals, None where undefined."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.training.metrics import patient_bootstrap
from inference.verdict import Superclass

SEED = 9  # of every draw: the same weights and recordings give the same figures
COLUMNS = {name.value: c for c, name in enumerate(Superclass)}


def rounded(value: Any) -> float | None:
    """Four decimals, None as it is."""
    return None if value is None else round(float(value), 4)


def by_class(figure: Callable[[int], Any]) -> dict[str, float | None]:
    """A figure of a column -> the same for each class, by name."""
    return {name: rounded(figure(c)) for name, c in COLUMNS.items()}


def rounded_intervals(
    patient: NDArray[np.int64], figures: Callable[[NDArray[np.int64]], list[float | None]], rounds: int
) -> list[list[float | None] | None]:
    """95 % intervals over patients, [low, high] each; see `metrics.patient_bootstrap`."""
    pairs = patient_bootstrap(patient, figures, np.random.default_rng(SEED), rounds)
    return [None if pair is None else [rounded(limit) for limit in pair] for pair in pairs]
