"""Late windows are no alarms, but what they show is found afterwards, in whichever order they came."""

import random
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from inference.alarms.alarm import AlarmKind
from inference.alarms.retrospective import find_episodes, retrospective_events
from inference.records import save_verdicts
from inference.verdict import Presence, Verdict
from ingest.store.schema import open_store
from tests.inference.alarms.ward import DEVICE, at, verdict_of


def late(place: int, probability: float, session: int = 7) -> Verdict:
    """The window that begins `place` windows after the start; it was decided a day later."""
    presence = Presence.PRESENT if probability >= 0.62 else Presence.ABSENT
    verdict = verdict_of(10.0 * place, probability, presence, historic=True)
    return replace(
        verdict,
        session=session,
        first_sample=5_000 * place,
        wall_time_us=at(10 * place),
        decided_us=at(86_400),
    )


PROBABILITIES = (0.1, 0.9, 0.95, 0.7, 0.1, 0.1, 0.1, 0.1, 0.8, 0.8, 0.8)
WINDOWS = [late(place, probability) for place, probability in enumerate(PROBABILITIES)]


@pytest.mark.parametrize("seed", range(5))
def test_episodes_in_late_windows_are_found_in_whichever_order_they_came(seed: int, tmp_path: object) -> None:
    engine: Engine = open_store(f"sqlite:///{tmp_path}/store.sqlite")
    shuffled = random.Random(seed).sample(WINDOWS, len(WINDOWS))
    save_verdicts(engine, shuffled)
    first, second = retrospective_events(engine, DEVICE, at(0), at(1000))
    assert (first.kind, first.text) == (AlarmKind.FINDING_MI, "MI 3 of 4 windows, p 0.70 ≥ 0.62")
    assert (first.from_us, first.to_us, first.peak, first.model) == (at(30), at(60), 0.7, "m1")
    assert (second.from_us, second.to_us) == (at(100), None)
    assert retrospective_events(engine, "ward/other", at(0), at(1000)) == []
    engine.dispose()


def test_live_windows_and_other_sessions_do_not_mix_in() -> None:
    live = [replace(window, historic=False) for window in WINDOWS]
    assert find_episodes(live) == []
    two_each = [late(place, 0.9, session) for place, session in enumerate((1, 1, 2, 2, 3, 3))]
    assert find_episodes(two_each) == []
