"""How findings of windows become those of a recording: rules side by side on handheld recordings.

    python -m benchmarks.aggregation --data DIR --json

PhysioNet/CinC Challenge 2017, each recording in windows of 10 s, one each 5 s, as `wristlead classify` cuts
them. No superclass is known there, so that two things are asked of a rule. Of recordings with normal rhythm
that are as long as the longest (59 s or more): how often it finds something abnormal (another superclass
present), from all of it and from its first 20 s. Of all recordings of that length: how often both halves,
without a common sample, get the same presences of the five superclasses.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.classifier import Classifier
from inference.recordings.judge import mean_by_log_odds
from inference.recordings.windows import windows_of
from inference.training.unlabelled import HANDHELD_FS, load_handheld
from inference.verdict import Presence
from ingest.chunk import Lead
from ingest.recordings import Format, Recording

LEAST_S = 59.0
N_CLASSES = 5

Shares = NDArray[np.float64]  # (windows, 5) probabilities; NaN where a window has no findings
Rule = Callable[[Shares], Shares]  # of the voting windows -> (5,)


def main() -> None:
    """Print the figures of each rule."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with cinc2017_300hz_part.npz")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    classifier = Classifier.load()
    handheld = load_handheld(options.data)
    if handheld is None:
        raise SystemExit(f"{options.data} holds no cinc2017_300hz_part.npz")
    rows = [i for i, ecg in enumerate(handheld.ecg_uv) if len(ecg) >= LEAST_S * HANDHELD_FS]
    shares = _shares(classifier, [handheld.ecg_uv[i] for i in rows])
    is_normal = np.array([handheld.label[i] == "N" for i in rows])
    figures = {name: figures_of(classifier, rule, shares, is_normal) for name, rule in RULES.items()}
    print(json.dumps(figures, indent=None if options.json else 2))


RULES: Mapping[str, Rule] = {
    "first window alone": lambda shares: shares[0],
    "mean of probabilities": lambda shares: shares.mean(axis=0),
    "mean of log odds": mean_by_log_odds,
    "median": lambda shares: np.median(shares, axis=0),
    "any window": lambda shares: np.append(shares[:, 0].min(), shares[:, 1:].max(axis=0)),
}


def figures_of(
    classifier: Classifier, rule: Rule, shares: Sequence[Shares], is_normal: NDArray[np.bool_]
) -> dict[str, Any]:
    """Figures of one rule."""
    whole = [presences(classifier, rule, one) for one in shares]
    short = [presences(classifier, rule, one[:3]) for one in shares]  # 20 s
    halves = [(presences(classifier, rule, one[:5]), presences(classifier, rule, one[-5:])) for one in shares]
    both = [(one, other) for one, other in halves if one is not None and other is not None]
    return {
        "abnormal_of_normal_60_s": _abnormal(whole, is_normal),
        "abnormal_of_normal_20_s": _abnormal(short, is_normal),
        "halves_agree": round(float(np.mean([one == other for one, other in both])), 3),
        "n_halves": len(both),
    }


def presences(classifier: Classifier, rule: Rule, shares: Shares) -> tuple[Presence, ...] | None:
    """What a rule finds in (windows, 5) probabilities of lead I; None where no window votes."""
    voting = shares[~np.isnan(shares[:, 0])]
    if not len(voting):
        return None
    limits = classifier.card.by_lead[Lead.I.name].served.classes
    return tuple(limit.presence(share) for limit, share in zip(limits, rule(voting).tolist(), strict=True))


def _abnormal(found: Sequence[tuple[Presence, ...] | None], is_normal: NDArray[np.bool_]) -> dict[str, Any]:
    told = [one for one, normal in zip(found, is_normal, strict=True) if normal and one is not None]
    return {"n": len(told), "share": round(float(np.mean([Presence.PRESENT in one[1:] for one in told])), 3)}


def _shares(classifier: Classifier, ecgs_uv: Sequence[NDArray[np.int16]]) -> list[Shares]:
    """(windows, 5) of each recording."""
    found = []
    for ecg_uv in ecgs_uv:
        samples_mv = (ecg_uv / 1000.0).astype(np.float32)
        recording = Recording(samples_mv, HANDHELD_FS, Lead.I, Format.CSV, "cinc2017")
        verdicts = classifier.classify(windows_of(recording), decided_us=0)
        none = [np.nan] * N_CLASSES
        found.append(np.array([[f.probability for f in each.findings] or none for each in verdicts]))
    return found


if __name__ == "__main__":
    main()
