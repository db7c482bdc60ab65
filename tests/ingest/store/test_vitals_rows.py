"""Vitals in files: what is kept comes back, and files of before, which knew no rhythm, are read for ever."""

import math
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import create_engine, text

from ingest.quality import SignalState
from ingest.store.archive import Archive
from ingest.store.schema import open_store
from ingest.store.sealed import seal
from ingest.store.segments import SegmentStore
from ingest.store.vitals_rows import (
    SIGNALS,
    UNKNOWN_COUNT,
    UNKNOWN_TENTHS,
    VITALS_ROW,
    as_vitals,
    vitals_rows,
)
from ingest.vitals import Vitals

HERE = Path(__file__).parent
START_US = 1_790_000_000_000_000
BARE = Vitals("a/b", 1, START_US, 3, None, None, SignalState.GOOD)


def formerly(device: str) -> list[Vitals]:
    """What an earlier version wrote into vitals_of_before.*."""
    rates = {"a/b": (60.0, 61.25), "a/c": (None, None)}[device]
    signals = {
        "a/b": (SignalState.GOOD, SignalState.GOOD),
        "a/c": (SignalState.LEAD_OFF, SignalState.NO_DATA),
    }
    return [
        Vitals(device, 1, START_US + k, 3 + k, rate, None, signals[device][k - 1])
        for k, rate in enumerate(rates, 1)
    ]


def there_and_back(vitals: Vitals) -> Vitals:
    [found] = as_vitals(vitals.device, vitals_rows([vitals], [0]))
    return found


def packed(vitals: Vitals, device: int) -> bytes:
    """One row as docs/store.md tells it, field by field."""

    def tenths(value_ms: float | None) -> int:
        return UNKNOWN_TENTHS if value_ms is None else min(round(10 * value_ms), UNKNOWN_TENTHS - 1)

    return struct.pack(
        "<IIqqqdHHBB", device, SIGNALS.index(vitals.signal), vitals.session, vitals.last_sample, vitals.at_us,
        math.nan if vitals.heart_rate_bpm is None else vitals.heart_rate_bpm,
        tenths(vitals.rmssd_ms), tenths(vitals.sdnn_ms),
        UNKNOWN_COUNT if vitals.ectopic_per_min is None else min(vitals.ectopic_per_min, UNKNOWN_COUNT - 1),
        UNKNOWN_COUNT if vitals.irregular is None else vitals.irregular,
    )  # fmt: skip


whole = st.integers(0, (1 << 63) - 1)
# halves of a tenth too
spread_ms = st.none() | st.floats(0, 1e9) | st.integers(0, 140_000).map(lambda n: n / 20)
any_vitals = st.builds(
    Vitals, st.just("a/b"), whole, whole, whole, st.none() | st.floats(0, 1e300), st.none(),
    st.sampled_from(SIGNALS),
    rmssd_ms=spread_ms, sdnn_ms=spread_ms, ectopic_per_min=st.none() | st.integers(0, 300),
    irregular=st.none() | st.booleans(),
)  # fmt: skip


@given(st.lists(any_vitals, max_size=20))
def test_rows_made_together_are_those_made_one_by_one(told: list[Vitals]) -> None:
    wanted = b"".join(packed(each, 2 * number) for number, each in enumerate(told))
    assert vitals_rows(told, [2 * number for number in range(len(told))]).tobytes() == wanted


@pytest.mark.parametrize("seed", range(50))
def test_what_is_kept_of_vitals_comes_back(seed: int) -> None:
    rng = np.random.default_rng(seed)

    known = rng.random(5) < 0.7
    vitals = replace(
        BARE,
        heart_rate_bpm=float(rng.uniform(15, 300)) if known[0] else None,
        rmssd_ms=int(rng.integers(0, 65534)) / 10 if known[1] else None,
        sdnn_ms=int(rng.integers(0, 65534)) / 10 if known[2] else None,
        ectopic_per_min=int(rng.integers(0, 255)) if known[3] else None,
        irregular=bool(rng.integers(0, 2)) if known[4] else None,
    )
    assert there_and_back(vitals) == vitals


def test_what_is_beyond_the_row_is_stored_as_its_largest() -> None:
    found = there_and_back(replace(BARE, rmssd_ms=1e5, sdnn_ms=math.pi * 1e4, ectopic_per_min=300))
    assert (found.rmssd_ms, found.sdnn_ms, found.ectopic_per_min) == (6553.4, 6553.4, 254)


def test_both_stores_give_the_same_rows_once_each_and_oldest_first(store_url: str) -> None:
    engine = open_store(store_url)
    archive = Archive(engine)
    told = [
        replace(BARE, at_us=START_US + 2, heart_rate_bpm=61.5, rmssd_ms=31.4, irregular=False),
        replace(BARE, at_us=START_US + 1, signal=SignalState.NO_DATA, sdnn_ms=1e5, ectopic_per_min=300),
    ]
    for each in told:
        archive.commit(vitals=[each, replace(each, device="a/c")])
    archive.commit(vitals=[told[0]])
    rows = archive.waveforms.vitals_rows("a/b", START_US, START_US + 3)
    assert rows.dtype == VITALS_ROW
    assert as_vitals("a/b", rows) == [replace(told[1], sdnn_ms=6553.4, ectopic_per_min=254), told[0]]
    assert len(archive.waveforms.vitals_rows("a/b", START_US, START_US + 2)) == 1
    assert len(archive.waveforms.vitals_rows("a/d", 0, 1 << 62)) == 0
    engine.dispose()


@pytest.mark.parametrize("suffix", [".seg", ".sealed"])
def test_files_of_before_are_read_without_rhythm(tmp_path: Path, suffix: str) -> None:
    shutil.copy(HERE / f"vitals_of_before{suffix}", tmp_path / f"20261125T01-1-00000001-0000{suffix}")
    store = SegmentStore(tmp_path, lambda: START_US)
    for device in ("a/b", "a/c"):
        assert store.vitals(device, 0, 1 << 62) == formerly(device)
    store.close()


def test_a_file_of_before_that_is_compressed_now_keeps_its_vitals(tmp_path: Path) -> None:
    path = tmp_path / "20261125T01-1-00000001-0000.seg"
    shutil.copy(HERE / "vitals_of_before.seg", path)
    assert seal(path, rest=0.0) == path.with_suffix(".sealed")
    store = SegmentStore(tmp_path, lambda: START_US)
    for device in ("a/b", "a/c"):
        assert store.vitals(device, 0, 1 << 62) == formerly(device)
    store.close()


def test_a_postgresql_store_of_before_gains_the_columns_and_keeps_its_vitals(postgresql_url: str) -> None:
    before = (
        "CREATE TABLE vital_sign (device text NOT NULL, at_us bigint NOT NULL, session bigint NOT NULL,"
        " last_sample bigint NOT NULL, heart_rate_bpm double precision, signal text NOT NULL,"
        " PRIMARY KEY (device, at_us)) PARTITION BY RANGE (at_us)"
    )
    day_us = START_US // 86_400_000_000 * 86_400_000_000
    engine = create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.execute(text(before))
        connection.execute(
            text(
                f"CREATE TABLE vital_sign_before PARTITION OF vital_sign FOR VALUES FROM ({day_us})"
                f" TO ({day_us + 86_400_000_000})"
            )
        )
        connection.execute(text(f"INSERT INTO vital_sign VALUES ('a/b', {START_US + 1}, 1, 4, 60.0, 'good')"))
    engine.dispose()
    store = open_store(postgresql_url)
    archive = Archive(store)
    assert archive.vitals_between("a/b", 0, 1 << 62) == formerly("a/b")[:1]
    told = replace(formerly("a/b")[1], rmssd_ms=31.4, ectopic_per_min=2, irregular=True)
    archive.commit(vitals=[replace(told, at_us=START_US + 200_000_000_000)])  # another day's partition
    [found] = archive.vitals_between("a/b", START_US + 2, 1 << 62)
    assert replace(found, at_us=told.at_us) == told
    assert len(Archive(store).vitals_between("a/b", 0, 1 << 62)) == 2  # opened once more
    store.dispose()
