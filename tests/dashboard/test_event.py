"""The page of one alarm: its strip from the store, and in words whatever is missing of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard import texts
from dashboard.event_view import event_view
from dashboard.pages.event import event_of, log_list
from dashboard.past import Past
from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.records import Transition, save_alarms
from ingest.chunk import Chunk, Lead
from ingest.store.archive import Archive
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import open_store
from ingest.wire import encode_binary

S = 1_000_000
SINCE_US = 1_790_000_000 * S
BED = "ward/bed-1"
FS = 100.0
KIND = AlarmKind.ASYSTOLE


def alarm(state: AlarmState = AlarmState.ON, at_s: float = 4.0, who: str | None = None) -> Alarm:
    return Alarm(
        device=BED,
        kind=KIND,
        queue=AlarmQueue.PHYSIOLOGICAL,
        priority=AlarmPriority.HIGH,
        state=state,
        text="ASYSTOLE 4 s",
        since_us=SINCE_US,
        at_us=SINCE_US + round(at_s * S),
        who=who,
    )


def fill(folder: Path, from_s: int, to_s: int, missing: tuple[int, ...] = ()) -> Past:
    """A store with a chunk for each second from `from_s` to `to_s` around the event, and two transitions."""
    url = f"sqlite:///{folder / 'store.sqlite'}"
    archive = Archive.open(url)
    chunks = []
    for second in range(from_s, to_s):
        if second in missing:
            continue
        first = (1000 + second) * 100
        samples = np.full((100, 1), second / 10, np.float32)
        chunk = Chunk(BED, 9, second - from_s, first, 1, 0, FS, (Lead.II,), samples)
        chunks.append(ReceivedChunk(chunk, encode_binary(chunk), SINCE_US + (second + 1) * S))
    archive.commit(chunks)
    save_alarms(open_store(url), [alarm(), alarm(AlarmState.ACK, 8.0, "A. B.")], {})
    return Past(url)


def ask(past: Past, now_s: float, since_us: int = SINCE_US, active: Alarm | None = None) -> Any:
    return event_of(past, active, (BED, KIND, since_us), SINCE_US + round(now_s * S), 30.0)


def test_the_strip_holds_what_is_stored_each_sample_at_its_second(tmp_path: Path) -> None:
    data, note, log = ask(fill(tmp_path, -60, 60, missing=(3,)), now_s=70)
    (piece,) = data["pieces"]
    assert (piece["offset_s"], piece["fs"], piece["lead"]) == (-10, FS, "II")
    assert len(piece["uv"]) == 30 * 100
    for second in (-10, -1, 0, 2, 4, 19):
        assert piece["uv"][(10 + second) * 100 + 50] == second * 100
    assert piece["uv"][13 * 100 : 14 * 100] == [None] * 100
    assert note == ""
    assert data["is_final"]
    assert "A. B." in str(log)
    assert str(log).count("Li(") == 2


def test_a_strip_whose_seconds_are_not_over_shows_what_is_there_and_asks_again(tmp_path: Path) -> None:
    data, note, _ = ask(fill(tmp_path, -60, 5), now_s=5.5)
    (piece,) = data["pieces"]
    assert len(piece["uv"]) == 15 * 100
    assert not data["is_final"]
    assert "15 s are still to come" in note


def test_each_time_that_a_latched_condition_came_again_has_a_strip_of_its_own(tmp_path: Path) -> None:
    past = fill(tmp_path, -60, 60)
    again = [alarm(AlarmState.LATCHED, 9), alarm(at_s=30), alarm(AlarmState.ACK, 33, "A. B.")]
    save_alarms(open_store(f"sqlite:///{tmp_path / 'store.sqlite'}"), again, {})
    _, _, log = ask(past, now_s=70)
    assert str(log).count(texts.LOG_STRIP) == 1
    moment_us = SINCE_US + 30 * S
    data, note, _ = event_of(past, None, (BED, KIND, SINCE_US), SINCE_US + 70 * S, 30.0, moment_us=moment_us)
    assert data["pieces"][0]["uv"][10 * 100 + 50] == 3000  # second 30
    assert note == ""


def test_a_strip_that_is_gone_or_never_was_says_which(tmp_path: Path) -> None:
    past = fill(tmp_path, 200, 201)
    data, note, _ = ask(past, now_s=3600)
    assert (data["pieces"], data["is_final"]) == ([], True)
    assert note == texts.EVENT_EMPTY
    assert ask(past, now_s=31 * 86_400)[1] == texts.EVENT_GONE.format(days="30")


def test_an_unknown_alarm_shows_nothing_of_the_patient(tmp_path: Path) -> None:
    past = fill(tmp_path, -60, 60)
    data, note, _ = ask(past, now_s=70, since_us=SINCE_US + 1)
    assert (data["pieces"], data["is_final"], data["is_known"]) == ([], True, False)
    assert note == texts.EVENT_UNKNOWN


def test_an_alarm_that_is_on_and_not_yet_stored_has_its_strip(tmp_path: Path) -> None:
    past = fill(tmp_path, -60, 60)
    later = SINCE_US + 30 * S
    active = Alarm(**{**{f: getattr(alarm(), f) for f in Alarm.__slots__}, "since_us": later})
    data, _, _ = ask(past, now_s=70, since_us=later, active=active)
    assert data["is_known"]
    assert len(data["pieces"]) == 1
    assert not ask(past, now_s=70, since_us=later, active=alarm())[0]["is_known"]  # another episode


def test_a_store_that_cannot_be_read_is_said_and_asked_again(tmp_path: Path) -> None:
    past = Past(f"sqlite:///{tmp_path / 'absent' / 'x.sqlite'}")
    data, note, _ = ask(past, now_s=70)
    assert data["pieces"] == []
    assert not data["is_final"]
    assert note.startswith("The store cannot be read: ")


@pytest.mark.parametrize("kind", AlarmKind)
def test_the_log_tells_the_limits_of_alarms_that_heed_them(kind: AlarmKind) -> None:
    limits = (40.0, 50.0, 120.0, 150.0)
    each = Transition(BED, kind, 1, AlarmState.ON, AlarmPriority.HIGH, "", 1, None, None, limits_bpm=limits)
    heeds = kind in {AlarmKind.EXTREME_RATE, AlarmKind.RATE_LIMIT}
    assert ("limits 50-120, extreme 40-150 bpm" in str(log_list([each]))) == heeds


@pytest.mark.parametrize("now_s", np.linspace(-30, 60, 40).tolist())
def test_no_page_gives_up_before_its_strip_can_be_whole(now_s: float) -> None:
    log = [Transition(BED, KIND, 1, AlarmState.ON, AlarmPriority.HIGH, "", SINCE_US, None, None)]
    view = event_view(
        moment_us=SINCE_US,
        now_us=SINCE_US + round(now_s * S),
        keep_days=None,
        transitions=log,
        active=None,
        pieces=[],
    )
    assert view.is_final == (now_s > 25)
    assert ("to come" in view.note) == (now_s < 20)
