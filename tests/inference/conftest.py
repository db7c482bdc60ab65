import math
from collections.abc import Callable

import numpy as np
import pytest

from inference.training.dataset import LEADS, Records, records_of
from inference.training.labels import Label
from inference.verdict import Superclass


def _synthetic(n: int = 40, seed: int = 0) -> Records:
    """Beats whose height tells the classes apart, two recordings a patient, folds 1-9, much unknown."""
    rng = np.random.default_rng(seed)
    targets = rng.random((n, 5)) < 0.5
    targets[:, 2] |= ~targets.any(axis=1)
    time_s = np.arange(1000) / 100
    beat = np.exp(-((((time_s % 0.8) - 0.4) / 0.02) ** 2))
    height_uv = 300 + 500 * targets[:, 0] - 200 * targets[:, 1]
    ecg = height_uv[:, None, None] * beat + rng.normal(0, 10, (n, len(LEADS), 1000))
    labels = [
        Label(
            ecg_id=i + 1,
            patient=i // 2,
            fold=1 + i // 2 % 9,
            superclasses=frozenset(name for name, has in zip(Superclass, targets[i], strict=True) if has),
            subclasses=frozenset(),
            forms=frozenset({"PVC"} if i % 5 == 0 else ()),
            rhythms=frozenset({"SR"} if i % 2 else ()),
            age_years=math.nan if i % 7 == 0 else 20.0 + i,
            male=math.nan if i % 7 == 0 else float(i % 2),
            pacemaker=math.nan if i % 7 == 0 else 0.0,
            native100=float(i % 3 == 0),
        )
        for i in range(n)
    ]
    return records_of(ecg.astype(np.int16), labels)


@pytest.fixture(scope="session")
def synthetic() -> Callable[..., Records]:
    """Function of a number of recordings and a seed."""
    return _synthetic
