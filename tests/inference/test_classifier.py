"""The released weights. `python -m tests.inference.test_classifier` rewrites the golden window's logits.

The golden window is PTB-XL record 1 (Wagner et al. 2020, CC BY 4.0), lead I, 500 Hz, uV.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.signal import resample_poly

from inference.card import CARD_NAME, MODEL_NAME, RELEASED_WEIGHTS
from inference.classifier import MAX_BATCH, Classifier, ClassifierError
from inference.preprocess import prepare_windows
from inference.verdict import Indeterminate, Presence, Superclass, Verdict
from ingest.chunk import Lead
from ingest.window import Window

GOLDEN = Path(__file__).parent / "golden_window.npz"
LOGIT_TOLERANCE = 1e-3  # processors differ in the order of float32 sums
FS = 500.0


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


def golden_mv() -> NDArray[np.float32]:
    with np.load(GOLDEN) as stored:
        return np.asarray(stored["ecg_uv"] / np.float32(1000), dtype=np.float32)


def window(samples_mv: NDArray[np.floating] | None = None, fs: float = FS) -> Window:
    samples = golden_mv() if samples_mv is None else np.asarray(samples_mv, dtype=np.float32)
    return Window(
        device="ward/1",
        session=7,
        first_sample=5000,
        wall_time_us=1_790_000_000_000_000,
        fs=fs,
        lead=Lead.I,
        samples_mv=samples,
        coverage=float(np.mean(~np.isnan(samples))),
        lead_off=0.0,
        clipped=0.0,
        historic=False,
    )


def probabilities(verdict: Verdict) -> NDArray[np.float64]:
    assert verdict.findings, verdict.indeterminate
    return np.array([finding.probability for finding in verdict.findings])


def test_the_golden_window_has_its_golden_logits(classifier: Classifier) -> None:
    with np.load(GOLDEN) as stored:
        golden = stored["logits"]
    logits = classifier.logits(classifier.prepare(window())[None], "I")[0]
    np.testing.assert_allclose(logits, golden, atol=LOGIT_TOLERANCE)


def test_a_verdict_names_its_window_and_has_five_findings_in_order(classifier: Classifier) -> None:
    verdict = classifier.classify([replace(window(), historic=True)], decided_us=42)[0]
    assert (verdict.device, verdict.session, verdict.first_sample) == ("ward/1", 7, 5000)
    assert (verdict.wall_time_us, verdict.decided_us) == (1_790_000_000_000_000, 42)
    assert verdict.historic
    assert verdict.model == classifier.version
    assert [finding.superclass for finding in verdict.findings] == list(Superclass)
    assert all(0 < finding.probability < 1 for finding in verdict.findings)


def test_a_normal_recording_is_called_normal_and_nothing_else(classifier: Classifier) -> None:
    findings = classifier.classify([window()], 0)[0].findings
    assert findings[0].presence == Presence.PRESENT
    assert all(finding.presence != Presence.PRESENT for finding in findings[1:])


def test_an_inverted_lead_is_another_signal(classifier: Classifier) -> None:
    prepared = classifier.prepare(window())
    upright, inverted = classifier.logits(np.stack([prepared, -prepared]), "I")
    assert np.abs(upright - inverted).max() > 1


def test_amplitude_is_seen(classifier: Classifier) -> None:
    once, twice = classifier.classify([window(), window(2.5 * golden_mv())], 0)
    assert np.abs(probabilities(once) - probabilities(twice)).max() > 0.02


@pytest.mark.parametrize(
    ("up", "down", "fs"), [(1, 2, 250.0), (128, 125, 512.0), (2, 1, 1000.0), (1, 4, 125.0)]
)
def test_the_devices_rate_does_not_change_the_verdict(
    classifier: Classifier, up: int, down: int, fs: float
) -> None:
    again = resample_poly(golden_mv().astype(np.float64), up, down, padtype="line")
    at_500, resampled = classifier.classify([window(), window(again, fs)], 0)
    np.testing.assert_allclose(probabilities(resampled), probabilities(at_500), atol=0.02)


def test_a_batch_of_any_mix_equals_single_windows(classifier: Classifier) -> None:
    ecg = golden_mv()
    mixed = [window(gain * ecg) for gain in np.linspace(0.7, 1.4, MAX_BATCH + 3)]
    mixed.insert(3, window(np.zeros(5000)))
    mixed.insert(9, replace(window(), lead=Lead.V1))
    together = classifier.classify(mixed, 0)
    for one, verdict in zip(mixed, together, strict=True):
        alone = classifier.classify([one], 0)[0]
        assert alone.indeterminate == verdict.indeterminate
        if alone.findings:
            np.testing.assert_allclose(probabilities(alone), probabilities(verdict), atol=1e-5)
    assert sum(verdict.indeterminate is not None for verdict in together) == 2


def test_a_batch_across_devices_and_rates_equals_single_windows(classifier: Classifier) -> None:
    ratios = {125.0: (1, 4), 250.0: (1, 2), 300.0: (3, 5), 500.0: (1, 1), 512.0: (128, 125)}
    rng = np.random.default_rng(2)
    mixed = []
    for k, (fs, (up, down)) in enumerate([*ratios.items()] * 3):
        again = resample_poly(
            rng.uniform(0.7, 1.4) * golden_mv().astype(np.float64), up, down, padtype="line"
        )
        again += rng.normal(0, 0.005, len(again))
        if k % 4 == 1:
            again[200:230] = np.nan
        mixed.append(replace(window(again, fs), device=f"ward/{k}"))
    mixed.insert(2, window(np.zeros(5000)))
    mixed.insert(7, window(np.zeros(1000), 100.0))
    mixed.insert(8, window(golden_mv()[:2500]))
    together = classifier.classify(mixed, 0)
    assert [verdict.device for verdict in together] == [one.device for one in mixed]
    for one, verdict in zip(mixed, together, strict=True):
        alone = classifier.classify([one], 0)[0]
        assert alone.indeterminate == verdict.indeterminate
        if alone.findings:
            np.testing.assert_allclose(probabilities(alone), probabilities(verdict), atol=1e-5)
    judged = [one for one, verdict in zip(mixed, together, strict=True) if verdict.findings]
    assert len(judged) >= len(ratios)
    logits = classifier.logits(
        prepare_windows([one.samples_mv for one in judged], [one.fs for one in judged]), "I"
    )
    for one, row in zip(judged, logits, strict=True):
        np.testing.assert_allclose(row, classifier.logits(classifier.prepare(one)[None], "I")[0], atol=1e-5)


def test_a_told_lead_is_read_as_told_and_swapped_electrodes_are_noticed(classifier: Classifier) -> None:
    told = classifier.classify([window()], 0)[0]
    assert (told.lead, told.lead_inferred) == ("I", False)
    swapped = classifier.classify([window(-golden_mv())], 0)[0]
    assert swapped.indeterminate is Indeterminate.INVERTED
    assert (swapped.lead, swapped.lead_inferred) == (None, False)
    assert swapped.rhythm


def test_a_lead_that_was_not_told_is_recognised_or_not_read(classifier: Classifier) -> None:
    verdict = classifier.classify([replace(window(), lead=Lead.UNKNOWN)], 0)[0]
    if verdict.indeterminate is None:
        assert verdict.lead in classifier.card.by_lead
        assert verdict.lead_inferred
    else:
        assert verdict.indeterminate is Indeterminate.UNKNOWN_LEAD
        assert verdict.lead is None


def test_leads_outside_the_training_are_not_read(classifier: Classifier) -> None:
    for lead in (Lead.III, Lead.V1, Lead.CHEST):
        verdict = classifier.classify([replace(window(), lead=lead)], 0)[0]
        assert verdict.indeterminate is Indeterminate.UNSUPPORTED_LEAD


def test_each_lead_has_logits_of_its_own(classifier: Classifier) -> None:
    one, other = (
        probabilities(classifier.classify([replace(window(), lead=lead)], 0)[0]) for lead in (Lead.I, Lead.II)
    )
    assert np.abs(one - other).max() > 1e-3


def test_no_windows_no_verdicts(classifier: Classifier) -> None:
    assert classifier.classify([], 0) == []


def test_classifying_changes_nothing_it_was_given(classifier: Classifier) -> None:
    ecg = golden_mv()
    ecg[100:150] = np.nan
    given = window(ecg.copy())
    classifier.classify([given, given], 0)
    np.testing.assert_array_equal(given.samples_mv, ecg)


def test_a_few_missing_samples_leave_the_verdict_as_it_was(classifier: Classifier) -> None:
    ecg = golden_mv()
    ecg[2100:2130] = np.nan
    whole, holed = classifier.classify([window(), window(ecg)], 0)
    np.testing.assert_allclose(probabilities(holed), probabilities(whole), atol=0.1)


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (replace(window(), coverage=0.9), Indeterminate.MISSING_DATA),
        (replace(window(), lead_off=0.2), Indeterminate.LEAD_OFF),
        (window(np.full(5000, 0.7)), Indeterminate.FLAT),
        (replace(window(), clipped=0.3), Indeterminate.SATURATED),
        (window(np.random.default_rng(0).normal(0, 1, 5000)), Indeterminate.NOISY),
        (replace(window(), lead=Lead.CHEST), Indeterminate.UNSUPPORTED_LEAD),
        (window(golden_mv()[::20], 25.0), Indeterminate.UNSUPPORTED_RATE),
        (window(golden_mv()[:2500]), Indeterminate.UNSUPPORTED_RATE),
        (replace(window(np.full(5000, np.nan)), coverage=0.0), Indeterminate.MISSING_DATA),
    ],
    ids=lambda value: value.name if isinstance(value, Indeterminate) else "",
)
def test_each_reason_is_given_and_excludes_findings(
    classifier: Classifier, candidate: Window, reason: Indeterminate
) -> None:
    verdict = classifier.classify([candidate], 0)[0]
    assert verdict.indeterminate == reason
    assert verdict.findings == ()


def test_classifying_loads_no_torch() -> None:
    code = (
        "import sys; from inference.classifier import Classifier; import inference.recurrence; "
        "Classifier.load(); raise SystemExit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_card_keeps_its_floors(classifier: Classifier) -> None:
    """Training again may not ship a worse, larger or uncalibrated model."""
    card = classifier.card
    figures = card.figures["I"]
    assert set(card.figures) == set(card.by_lead)
    assert figures["folds"] == list(card.calibration_folds) == [9]
    assert figures["macro_auroc"] >= 0.80
    assert min(figures["auroc"].values()) >= 0.75
    assert max(figures["ece"].values()) <= 0.08
    assert figures["coverage"] >= 0.97
    assert card.parity <= 1e-4
    assert card.parameters <= 550_000
    assert card.mmac <= 40
    assert sum(path.stat().st_size for path in RELEASED_WEIGHTS.glob("*.onnx")) <= 1_500_000
    page = (RELEASED_WEIGHTS / "card.md").read_text()
    assert card.version in page
    assert f"{figures['macro_auroc']:.3f}" in page


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    shutil.copytree(RELEASED_WEIGHTS, folder)
    return folder


@pytest.mark.parametrize("name", [MODEL_NAME, CARD_NAME])
def test_a_missing_file_is_named_with_what_to_do(weights: Path, name: str) -> None:
    (weights / name).unlink()
    with pytest.raises(ClassifierError, match=rf"{name} cannot be read .*training export"):
        Classifier.load(weights)


def test_a_pointer_instead_of_weights_is_not_taken_for_them(weights: Path) -> None:
    (weights / MODEL_NAME).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ClassifierError, match=r"model.onnx is not the file its card describes.*43 bytes"):
        Classifier.load(weights)


def test_a_damaged_card_is_named(weights: Path) -> None:
    content = (weights / CARD_NAME).read_bytes()
    (weights / CARD_NAME).write_bytes(content[: len(content) // 2])
    with pytest.raises(ClassifierError, match=r"card.json is not a model card"):
        Classifier.load(weights)


if __name__ == "__main__":
    loaded = Classifier.load()
    ecg_uv = np.rint(golden_mv() * 1000).astype(np.int16)
    np.savez_compressed(GOLDEN, ecg_uv=ecg_uv, logits=loaded.logits(loaded.prepare(window())[None], "I")[0])
