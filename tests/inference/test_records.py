"""Each window keeps exactly one verdict in the store."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from inference.records import save_verdicts, verdicts_between
from inference.verdict import (
    Finding,
    Indeterminate,
    Presence,
    Rhythm,
    RhythmFinding,
    Superclass,
    Verdict,
)
from ingest.store.schema import open_store

FINDINGS = tuple(Finding(s, 0.123456789, 0.62, Presence.UNCERTAIN) for s in Superclass)
RHYTHM = tuple(RhythmFinding(r, 0.25, 0.41 if r is Rhythm.AF else None) for r in Rhythm)
FOUND = Verdict(
    "ward/bed-1",
    2**32 - 1,
    2**40,
    1_000,
    "m1",
    2_000,
    historic=False,
    findings=FINDINGS,
    rhythm=RHYTHM,
    lead="II",
    lead_inferred=True,
)
NOISY = replace(FOUND, first_sample=0, wall_time_us=500, findings=(), indeterminate=Indeterminate.NOISY)
BLIND = replace(
    FOUND,
    first_sample=1,
    wall_time_us=600,
    findings=(),
    indeterminate=Indeterminate.UNKNOWN_LEAD,
    rhythm=(),
    lead=None,
    lead_inferred=False,
)


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url)
    yield engine
    engine.dispose()


def test_what_is_read_is_what_was_saved(engine: Engine) -> None:
    save_verdicts(engine, [FOUND, NOISY, BLIND])
    assert verdicts_between(engine, "ward/bed-1", 0, 10_000) == [NOISY, BLIND, FOUND]


def test_a_window_keeps_its_first_verdict_and_a_second_is_not_new(engine: Engine) -> None:
    assert save_verdicts(engine, [FOUND]) == [FOUND]
    later = replace(FOUND, decided_us=9_000, model="m2")
    assert save_verdicts(engine, [later, NOISY, NOISY]) == [NOISY]
    assert verdicts_between(engine, "ward/bed-1", 0, 10_000) == [NOISY, FOUND]


MISSING = replace(FOUND, findings=(), rhythm=(), indeterminate=Indeterminate.MISSING_DATA)
PLACE = (FOUND.device, FOUND.session, FOUND.first_sample)


def verdict(engine: Engine) -> Verdict:
    (found,) = verdicts_between(engine, "ward/bed-1", 0, 10_000)
    return found


def test_a_verdict_on_more_samples_takes_the_place_of_a_poorer_one_exactly_once(engine: Engine) -> None:
    better = replace(FOUND, historic=True, decided_us=9_000)
    assert save_verdicts(engine, [MISSING], {PLACE: 0.5}) == [MISSING]
    assert save_verdicts(engine, [better], {PLACE: 1.0}) == [better]
    for again in (better, MISSING, replace(better, decided_us=10_000)):
        assert save_verdicts(engine, [again], {PLACE: 1.0 if again.findings else 0.5}) == []
    assert verdict(engine) == better


def test_whichever_verdict_comes_first_the_one_on_more_samples_stays(engine: Engine) -> None:
    better = replace(FOUND, historic=True)
    save_verdicts(engine, [better], {PLACE: 1.0})
    assert save_verdicts(engine, [MISSING], {PLACE: 0.5}) == []
    assert verdict(engine) == better


def test_of_two_verdicts_on_as_many_samples_the_live_one_stays(engine: Engine) -> None:
    late = replace(FOUND, historic=True)
    for save, wanted in ((late, [late]), (FOUND, [FOUND]), (late, [])):
        assert save_verdicts(engine, [save], {PLACE: 0.97}) == wanted
    assert verdict(engine) == FOUND


@pytest.mark.parametrize(("old", "is_replaced"), [(MISSING, True), (NOISY, False), (FOUND, False)])
def test_a_verdict_of_an_earlier_version_gives_way_only_where_it_missed_data(
    engine: Engine, old: Verdict, *, is_replaced: bool
) -> None:
    save_verdicts(engine, [old])
    place = (old.device, old.session, old.first_sample)
    late = replace(FOUND, first_sample=old.first_sample, wall_time_us=old.wall_time_us, historic=True)
    assert save_verdicts(engine, [late], {place: 0.94}) == []
    assert save_verdicts(engine, [late], {place: 1.0}) == [late] * is_replaced


def test_workers_at_the_same_windows_save_each_exactly_once(engine: Engine) -> None:
    windows = [replace(FOUND, first_sample=n) for n in range(40)]
    new: list[Verdict] = []
    workers = [threading.Thread(target=lambda: new.extend(save_verdicts(engine, windows))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(v.first_sample for v in new) == list(range(40))


def test_a_span_includes_its_start_and_not_its_end(engine: Engine) -> None:
    save_verdicts(engine, [replace(FOUND, first_sample=t, wall_time_us=t) for t in (10, 20, 30)])
    assert [v.wall_time_us for v in verdicts_between(engine, "ward/bed-1", 10, 30)] == [10, 20]
