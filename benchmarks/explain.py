"""What explanations cost, how complete they are, and whether they point at what the model looks at.

    python -m benchmarks.explain --data DIR --json

Recordings of folds 1-8 in which the released model finds a labelled abnormal superclass, `--windows` of each,
are explained by both methods; and as many handheld ones of atrial fibrillation that the rhythm network calls
so, where the directory has any. Deletion sets samples to 0, most important first, as the model sees missing
data; insertion brings them back onto an empty window (Petsiuk, Das & Saenko 2018). Both are the mean logit
along the way, and the score is insertion less deletion: higher is better. The same is done in random order
and from R peaks outwards. Times are of one CPU, as the work has one thread.
"""

import argparse
import json
import statistics
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inference.card import RELEASED_WEIGHTS
from inference.classifier import Classifier
from inference.explain.attribution import Attribution
from inference.explain.explainer import Reader, attribute, column_of
from inference.explain.explanation import Answer, ExplanationMethod
from inference.explain.rhythm_grad_cam import RhythmOdds
from inference.explain.saved_network import LeadReader, load_network, load_rhythm_network
from inference.preprocess import MODEL_FS, prepare_batch
from inference.rhythm import RhythmReader
from inference.training.dataset import UV_PER_MV, load_records
from inference.training.unlabelled import HANDHELD_FS, load_handheld, windows_of
from inference.verdict import Rhythm, Superclass
from ingest.beats import BeatDetector

FOLDS = range(1, 9)  # fold 9 calibrates and is reported once, fold 10 is read from outside
ABNORMAL = (Superclass.MI, Superclass.STTC, Superclass.CD, Superclass.HYP)
STEPS = 10
SEED = 11

Floats = NDArray[np.floating]
LEAD = "I"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="recordings, as for inference.training")
    parser.add_argument("--windows", type=int, default=12, help="of each abnormal superclass (default: 12)")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network, version = load_network()
    net = LeadReader(network, LEAD)
    cases = found_cases(options.data, options.windows)
    figures = {"model": version, "windows": len(cases), **measure(net, cases)}
    rhythm, of_rhythm = load_rhythm_network(), called_af(options.data, len(cases))
    if rhythm is not None and of_rhythm:
        odds = RhythmOdds(rhythm[0])
        figures["rhythm"] = {"model": rhythm[1], "windows": len(of_rhythm), **measure(odds, of_rhythm)}
    print(json.dumps(figures, indent=None if options.json else 2))


def found_cases(data: Path, each: int) -> list[tuple[NDArray[np.float32], Superclass]]:
    """Prepared windows (1000,) of lead I with a labelled superclass that the released model finds in them."""
    records = load_records(data).of_folds(FOLDS)
    rng = np.random.default_rng(SEED)
    some = np.sort(rng.permutation(len(records))[: 60 * each])
    prepared = prepare_batch(records.lead_mv(LEAD)[some])
    classifier = Classifier.load()
    calibration = classifier.card.by_lead[LEAD].served
    probability = calibration.probabilities(classifier.logits(prepared, LEAD))
    cases = []
    for superclass in ABNORMAL:
        column = list(Superclass).index(superclass)
        is_found = probability[:, column] >= calibration.classes[column].threshold
        rows = np.flatnonzero(is_found & (records.targets[some, column] > 0.5))
        cases += [(prepared[row], superclass) for row in rows[:each]]
    return cases


def called_af(data: Path, most: int) -> list[tuple[NDArray[np.float32], Rhythm]]:
    """Prepared windows (1000,) of handheld recordings labelled AF that the released network calls AF."""
    handheld = load_handheld(data)
    reader = RhythmReader.find(RELEASED_WEIGHTS)
    if handheld is None or reader is None:
        return []
    limit = reader.card.calibration.af_limit
    column = list(Rhythm).index(Rhythm.AF)
    cases: list[tuple[NDArray[np.float32], Rhythm]] = []
    for number in np.random.default_rng(SEED).permutation(np.flatnonzero(handheld.label == "A")):
        windows = windows_of(handheld.ecg_uv[number], HANDHELD_FS)
        prepared = prepare_batch(windows[len(windows) // 2 :][:1] / np.float32(UV_PER_MV))
        if len(cases) == most:
            break
        share = reader.probabilities(prepared)
        if len(share) and share[0].argmax() == column and share[0, column] >= limit:
            cases.append((prepared[0], Rhythm.AF))
    return cases


def measure(net: Reader, cases: Sequence[tuple[NDArray[np.float32], Answer]]) -> dict[str, dict[str, float]]:
    """Figures by method, each score with its lead over the two orders that know nothing of the model."""
    rng = np.random.default_rng(SEED)
    random = np.array([score(net, ecg, each, rng.random(len(ecg))) for ecg, each in cases])
    r_peaks = np.array([score(net, ecg, each, nearness_to_r_peaks(ecg)) for ecg, each in cases])
    figures = {"random": {"score": rounded(random.mean())}, "r_peaks": {"score": rounded(r_peaks.mean())}}
    for method in ExplanationMethod:
        cpu_ms, found = [], []
        for ecg, answer in cases:
            started_s = time.process_time()
            found.append(finished(attribute(net, ecg, answer, method)))
            cpu_ms.append(1e3 * (time.process_time() - started_s))
        scores = np.array([score(net, ecg, c, f.to_time) for (ecg, c), f in zip(cases, found, strict=True)])
        gain = scores - r_peaks
        figures[method.value] = {
            "cpu_ms": rounded(statistics.median(cpu_ms)),
            "cpu_ms_most": rounded(max(cpu_ms)),
            "completeness_error": rounded(statistics.median(each.completeness_error for each in found)),
            "effect": rounded(statistics.median(abs(each.effect) for each in found)),
            "score": rounded(scores.mean()),
            "over_random": rounded((scores - random).mean()),
            "over_r_peaks": rounded(gain.mean()),
            "over_r_peaks_standard_error": rounded(gain.std(ddof=1) / np.sqrt(len(gain))),
        }
    return figures


def finished(work: Generator[float, None, Attribution]) -> Attribution:
    """What a method returns once all its parts are done."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            attribution: Attribution = end.value
            return attribution


def score(net: Reader, ecg_mv: NDArray[np.float32], answer: Answer, worth: Floats) -> float:
    """Insertion less deletion of (1000,) samples in falling order of `worth`: mean logits along the way."""
    order = np.argsort(-worth, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    counts = np.linspace(0, len(order), STEPS + 1)[:, None]
    kept = np.concatenate([rank >= counts, rank < counts])  # (2 * (STEPS + 1), 1000)
    with torch.inference_mode():
        logits = net(torch.from_numpy(np.where(kept, ecg_mv, np.float32(0.0))))
    deletion, insertion = logits[:, column_of(answer)].numpy().reshape(2, -1).mean(axis=1)
    return float(insertion - deletion)


def nearness_to_r_peaks(ecg_mv: NDArray[np.float32]) -> Floats:
    """(1000,) minus the distance to the nearest R peak in samples; the same everywhere when there is none."""
    detector = BeatDetector(MODEL_FS)
    second = round(MODEL_FS)
    r_peaks = np.concatenate([detector.push(ecg_mv[k : k + second]) for k in range(0, len(ecg_mv), second)])
    if len(r_peaks) == 0:
        return np.zeros(len(ecg_mv))
    apart = np.abs(np.arange(len(ecg_mv))[:, None] - r_peaks[None, :])  # (1000, beats)
    return np.asarray(-apart.min(axis=1), dtype=np.float64)


def rounded(value: float) -> float:
    """Three decimals."""
    return round(float(value), 3)


if __name__ == "__main__":
    main()
