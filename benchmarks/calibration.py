"""Ways to calibrate, compared on logits that nothing was fitted on.

    python -m benchmarks.calibration --logits FILE.npz

The file holds `logits` (n, classes), `targets` (n, classes) of 0 and 1 and `patient` (n,), such as those of
fold 8 from a network trained on folds 1-7. Patients are dealt into parts anew for each repeat; each part gets
the probabilities of a calibration fitted on all others. Log loss and Brier score decide, as they are proper:
a calibration error at a few hundred recordings is mostly chance, which the last column shows.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize

from inference.calibration import fit_class, sigmoid
from inference.training.metrics import (
    brier,
    calibration_error_by_chance,
    equal_width_error,
    expected_calibration_error,
)

Floats = NDArray[np.float64]
Fitted = Callable[[Floats], Floats]  # logits -> probabilities
BINS = 8  # of the histogram
LIMIT = 1e-3  # probabilities are kept this far from 0 and 1 for the log loss


def identity(_logits: Floats, _has: Floats) -> Fitted:
    """The network as it is."""
    return sigmoid


def temperature(logits: Floats, has: Floats) -> Fitted:
    """One slope (Guo et al. 2017)."""
    return _logistic(logits, has, lambda z: [z])


def platt(logits: Floats, has: Floats) -> Fitted:
    """Slope and offset, as released."""
    fitted = fit_class(logits, has)
    return lambda z: sigmoid(fitted.slope * z + fitted.offset)


def shrunk_platt(weight: float) -> Callable[[Floats, Floats], Fitted]:
    """Slope and offset with a normal prior around 1 and 0: weight is its precision, in recordings."""

    def fit(logits: Floats, has: Floats) -> Fitted:
        def loss(ab: Floats) -> float:
            z = logits * ab[0] + ab[1]
            prior = weight * ((ab[0] - 1) ** 2 + ab[1] ** 2) / 2
            return float(np.sum(np.logaddexp(0.0, z) - has * z) + prior)

        slope, offset = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x
        return lambda z: sigmoid(slope * z + offset)

    return fit


def beta(logits: Floats, has: Floats) -> Fitted:
    """Three parameters on log p and log(1 - p) (Kull et al. 2017)."""
    return _logistic(logits, has, lambda z: [-np.logaddexp(0, -z), np.logaddexp(0, z), np.ones_like(z)])


def isotonic(logits: Floats, has: Floats) -> Fitted:
    """Any rising curve (Zadrozny & Elkan 2002), lines between its steps."""
    order = np.argsort(logits)
    curve = isotonic_regression(has[order]).x
    return lambda z: np.interp(z, logits[order], curve)


def histogram(logits: Floats, has: Floats) -> Fitted:
    """The share in each of a few equally full bins (Zadrozny & Elkan 2001)."""
    edges = np.quantile(logits, np.arange(1, BINS) / BINS)
    which = np.searchsorted(edges, logits)
    shares = np.array([(has[which == b].sum() + 1) / ((which == b).sum() + 2) for b in range(BINS)])
    return lambda z: shares[np.searchsorted(edges, z)]


METHODS: dict[str, Callable[[Floats, Floats], Fitted]] = {
    "identity": identity,
    "temperature": temperature,
    "Platt": platt,
    "Platt, prior 5": shrunk_platt(5.0),
    "Platt, prior 20": shrunk_platt(20.0),
    "beta": beta,
    "isotonic": isotonic,
    "histogram": histogram,
}


def cross_fitted(
    method: Callable[[Floats, Floats], Fitted], logits: Floats, has: Floats, part: NDArray[np.int64]
) -> Floats:
    """(n,) each -> (n,) probabilities from fits that did not see the recording's part."""
    out = np.empty(len(logits))
    for k in np.unique(part):
        out[part == k] = method(logits[part != k], has[part != k])(logits[part == k])
    return out


def main() -> None:
    """Print one table row for each method and number of parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logits", type=Path, required=True)
    parser.add_argument("--parts", type=int, nargs="+", default=[2, 10])
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    with np.load(options.logits) as stored:
        logits, targets = stored["logits"].astype(np.float64), stored["targets"].astype(np.float64)
        _, patient = np.unique(stored["patient"], return_inverse=True)
    print("| parts | method | log loss | Brier | ECE (equally full) | ECE (equally wide) | ECE by chance |")
    print("|---|---|---|---|---|---|---|")
    for parts in options.parts:
        for name, method in METHODS.items():
            rows = []
            for repeat in range(options.repeats):
                rng = np.random.default_rng(repeat)
                part = (rng.permutation(patient.max() + 1) % parts)[patient]
                rows += [
                    _scores(cross_fitted(method, z, t, part), t)
                    for z, t in zip(logits.T, targets.T, strict=True)
                ]
            print(f"| {parts} | {name} | " + " | ".join(f"{x:.4f}" for x in np.mean(rows, axis=0)) + " |")


def _scores(probability: Floats, has: Floats) -> list[float]:
    kept = np.clip(probability, LIMIT, 1 - LIMIT)
    return [
        float(-np.mean(has * np.log(kept) + (1 - has) * np.log(1 - kept))),
        brier(has, probability),
        expected_calibration_error(has, probability),
        equal_width_error(has, probability),
        calibration_error_by_chance(probability, np.random.default_rng(0), 100)[0],
    ]


def _logistic(logits: Floats, has: Floats, features: Callable[[Floats], list[Floats]]) -> Fitted:
    """Logistic regression without penalty on features of the logit."""
    table = np.stack(features(logits))

    def loss(weights: Floats) -> float:
        z = weights @ table
        return float(np.mean(np.logaddexp(0.0, z) - has * z))

    start = np.eye(len(table))[0]
    weights = minimize(loss, start, method="BFGS").x
    return lambda z: sigmoid(weights @ np.stack(features(z)))


if __name__ == "__main__":
    main()
