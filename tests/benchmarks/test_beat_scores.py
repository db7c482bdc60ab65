import numpy as np
import pytest

from benchmarks.beat_scores import figures, score

FS = 100.0
BEATS = np.arange(100, 6000, 100)  # 60 bpm for a minute


def symbols(n: int) -> "np.ndarray[tuple[int], np.dtype[np.str_]]":
    return np.array(["N"] * n)


def test_what_is_annotated_scores_in_full() -> None:
    scored = score(BEATS + 10, BEATS, symbols(len(BEATS)), FS, 6000)
    assert (scored.matched, scored.missed, scored.extra) == (59, 0, 0)
    assert np.allclose(scored.rate_errors_bpm, 0.0)


def test_a_beat_beyond_150_ms_is_both_missed_and_extra() -> None:
    found = BEATS.copy()
    found[20] += 16
    scored = score(found, BEATS, symbols(len(BEATS)), FS, 6000)
    assert (scored.matched, scored.missed, scored.extra) == (58, 1, 1)


def test_two_found_for_one_beat_are_one_match_and_one_extra() -> None:
    found = np.sort(np.append(BEATS, BEATS[5] + 4))
    scored = score(found, BEATS, symbols(len(BEATS)), FS, 6000)
    assert (scored.matched, scored.missed, scored.extra) == (59, 0, 1)


def test_flutter_counts_neither_for_nor_against() -> None:
    at = np.sort(np.append(BEATS, [2050, 3050]))
    marks = np.where(at == 2050, "[", np.where(at == 3050, "]", "N"))
    outside = BEATS[(BEATS < 2050) | (BEATS > 3050)]
    scored = score(outside, at, marks, FS, 6000)
    assert (scored.missed, scored.extra) == (0, 0)
    assert scored.matched == len(outside)


def test_an_interval_without_found_beats_is_outside_the_allowed_rate_error() -> None:
    found = BEATS[BEATS >= 1000]  # nothing in the first of six intervals
    scored = score(found, BEATS, symbols(len(BEATS)), FS, 6000)
    summed = figures([scored])
    assert summed["rate_within_ec13"] == pytest.approx(5 / 6, abs=1e-5)
    assert summed["rate_error_rms_bpm"] == pytest.approx(0.0)


def test_the_worst_record_is_named_beside_the_sum() -> None:
    good = score(BEATS, BEATS, symbols(len(BEATS)), FS, 6000)
    bad = score(BEATS[::2], BEATS, symbols(len(BEATS)), FS, 6000)
    summed = figures([good, bad])
    assert summed["worst_se"] == pytest.approx(30 / 59, abs=1e-5)
    assert summed["se"] == pytest.approx(89 / 118, abs=1e-5)
