"""Late windows are cut by device in turn, on both stores: whatever one asks for, the others get theirs."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import Engine, insert, inspect, text

from ingest.backfill import LIVE_FIRST_US, Rework, Slot
from ingest.chunk import Lead
from ingest.store.archive import Archive
from ingest.store.schema import open_store, pending_table

NOW_US = 1_790_000_000_000_000
S = 1_000_000
FAR_US = NOW_US + 10 * LIVE_FIRST_US  # noted before our clock was set back


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = open_store(store_url, busy_wait_ms=20)
    yield engine
    engine.dispose()


def note(engine: Engine, slots: list[Slot]) -> None:
    rows = [
        {
            "device": s.device, "session": s.session, "first_sample": s.first_sample, "fs": s.fs,
            "lead": int(s.lead), "due_us": s.due_us,
        }
        for s in slots
    ]  # fmt: skip
    with engine.begin() as connection:
        if rows:
            connection.execute(insert(pending_table), rows)


def noted(rng: np.random.Generator, device: str, n: int) -> list[Slot]:
    """In no order, due at few moments, of which some are to come."""
    dues = rng.choice([NOW_US - 9 * S, NOW_US - 2 * S, NOW_US, NOW_US + S, FAR_US], n)
    places = rng.permutation(n).tolist()
    return [
        Slot(device, place % 3, place, 100.0, Lead.I, due)
        for place, due in zip(places, dues.tolist(), strict=True)
    ]


@pytest.mark.parametrize("seed", range(8))
def test_everybody_has_a_turn_before_anybody_has_another(seed: int, engine: Engine) -> None:
    rng = np.random.default_rng(seed)
    names = [f"ward/bed-{k}" for k in range(int(rng.integers(2, 9)))]
    sizes = np.where(rng.random(len(names)) < 0.3, 60, rng.integers(0, 6, len(names)))
    slots = [each for name, n in zip(names, sizes.tolist(), strict=True) for each in noted(rng, name, n)]
    note(engine, slots)
    archive, limit = Archive(engine), int(rng.integers(1, 6))
    waiting: dict[str, list[Slot]] = defaultdict(list)
    for each in slots:
        if each.due_us <= NOW_US or each.due_us == FAR_US:
            waiting[each.device].append(each)
    cut: dict[str, list[Slot]] = defaultdict(list)
    since_turn, after = dict.fromkeys(names, 0), ""
    while portion := archive.due_slots(NOW_US, limit, after):
        done = portion[: int(rng.integers(1, limit + 1))]  # the others took too long
        archive.commit(rework=Rework(done=done))
        for slot in done:
            after = slot.device
            cut[after].append(slot)
            for name in names:
                is_served = name == after or len(cut[name]) == len(waiting[name])
                since_turn[name] = 0 if is_served else since_turn[name] + 1
            assert max(since_turn.values()) < len(names), (
                "somebody waited for more than one turn of each other"
            )
    for name in names:
        in_order = sorted(waiting[name], key=lambda s: (s.due_us, s.session, s.first_sample))
        assert cut[name] == in_order, "all are cut, the longest due first"


def test_a_portion_is_as_long_as_asked_whoever_asks_for_it(engine: Engine) -> None:
    rng = np.random.default_rng(0)
    note(engine, [Slot("ward/greedy", 1, k, 100.0, Lead.I, NOW_US - k) for k in range(2000)])
    note(engine, [Slot("ward/other", 1, k, 100.0, Lead.I, NOW_US) for k in range(2)])
    archive = Archive(engine)
    for after in ("", "ward/greedy", "ward/h", "ward/other", "zzz"):
        n = int(rng.integers(1, 9))
        assert len(archive.due_slots(NOW_US, n, after)) == n
    assert [s.device for s in archive.due_slots(NOW_US, 6, "ward/greedy")] == [
        "ward/other", "ward/greedy", "ward/other", "ward/greedy", "ward/greedy", "ward/greedy",
    ]  # fmt: skip


def test_the_index_of_earlier_versions_goes_when_a_store_is_opened(store_url: str) -> None:
    engine = open_store(store_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE INDEX pending_window_by_due ON pending_window (due_us)"))
    engine.dispose()
    engine = open_store(store_url)
    assert [each["name"] for each in inspect(engine).get_indexes("pending_window")] == [
        "pending_window_by_turn"
    ]
    engine.dispose()
