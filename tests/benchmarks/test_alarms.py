from itertools import islice

import numpy as np
import pytest

from benchmarks.alarm_episodes import episodes
from benchmarks.alarms import Raised, is_justified, watch
from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState


def raised(kind: AlarmKind, at_s: float) -> Raised:
    alarm = Alarm(
        "a/b", kind, AlarmQueue.PHYSIOLOGICAL, AlarmPriority.HIGH, AlarmState.ON, "", since_us=0, at_us=0
    )
    return Raised(at_s, alarm)


def test_a_stopped_heart_raises_asystole_within_ten_seconds_and_nothing_high_before() -> None:
    episode = next(episodes(1))
    high = [each for each in watch(episode) if each.alarm.priority is AlarmPriority.HIGH]
    assert high[0].alarm.kind is AlarmKind.ASYSTOLE
    assert 4.0 <= high[0].at_s - episode.onset_s <= 10.0


def test_the_same_seed_gives_the_same_episode() -> None:
    first, second = (next(islice(episodes(1), 1, None)) for _ in range(2))
    np.testing.assert_array_equal(first.samples_mv, second.samples_mv)


@pytest.mark.parametrize(
    ("kind", "r_peaks_s", "is_true"),
    [
        (AlarmKind.ASYSTOLE, np.arange(0.0, 95.0, 1.0), True),  # 5 s of silence before the alarm
        (AlarmKind.ASYSTOLE, np.arange(0.0, 100.0, 1.0), False),
        (AlarmKind.ASYSTOLE, np.array([]), True),
        (AlarmKind.EXTREME_RATE, np.arange(0.0, 100.0, 0.38), True),  # 158 bpm
        (AlarmKind.EXTREME_RATE, np.arange(0.0, 100.0, 1.55), True),  # 39 bpm
        (AlarmKind.EXTREME_RATE, np.arange(0.0, 100.0, 0.8), False),
    ],
)
def test_a_high_alarm_is_true_only_when_the_annotated_beats_show_it(
    kind: AlarmKind, r_peaks_s: "np.ndarray[tuple[int], np.dtype[np.float64]]", *, is_true: bool
) -> None:
    assert is_justified(raised(kind, 100.0), r_peaks_s) is is_true
