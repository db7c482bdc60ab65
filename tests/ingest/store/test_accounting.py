from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from ingest.chunk import Chunk, Lead
from ingest.store.accounting import Account, Quantiles, account
from ingest.store.archive import Archive
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import open_store, verdict_table
from ingest.window import Window
from ingest.wire import encode_binary

HEADER = "device,session,first_sample,n_samples,published_us,acked_us,kind\n"


def stored_chunk(first: int, received_us: int) -> ReceivedChunk:
    chunk = Chunk("a/b", 1, 0, first, 0, 0, 500.0, (Lead.I,), np.zeros((100, 1), np.float32))
    return ReceivedChunk(chunk, encode_binary(chunk), received_us)


def window(first: int, coverage: float = 1.0) -> Window:
    samples = np.zeros(5000, np.float32)
    return Window(
        "a/b", 1, first, 0, 500.0, Lead.I, samples, coverage, 0.0, 0.0, historic=False, closed_us=1000
    )


def decide(
    engine: Engine, first: int, decided_us: int, reason: str | None = None, coverage: float | None = None
) -> None:
    with engine.begin() as connection:
        connection.execute(
            verdict_table.insert().values(
                device="a/b", session=1, first_sample=first, wall_time_us=0, model="m",
                decided_us=decided_us, historic=False, indeterminate=reason, findings="[]",
                coverage=coverage,
            )
        )  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")


def test_everything_is_counted_where_it_belongs(engine: Engine, tmp_path: Path) -> None:
    log = tmp_path / "published.csv"
    log.write_text(
        HEADER
        + "a/b,1,0,100,1000,9000,chunk\n"
        + "a/b,1,0,100,1500,9000,duplicate\n"
        + "a/b,1,100,100,2000,9000,chunk\n"
        + "a/b,1,200,100,3000,9000,corrupt\n"
        + "a/b,1,300,100,4000,9000,chunk\n"  # acknowledged, never stored
        + "a/b,1,400,1"  # torn by a kill
    )
    archive = Archive(engine)
    archive.commit([stored_chunk(0, 3000), stored_chunk(100, 4000), stored_chunk(500, 5000)])
    archive.commit(windows=[window(0), window(5000), window(10_000), window(15_000, coverage=0.9)])
    decide(engine, 0, 41_000)
    decide(engine, 5000, 21_000, "flat")
    decide(engine, 15_000, 21_000, "missing data")
    assert account(engine, log) == Account(
        published=3,
        stored=3,
        lost=1,
        windows=4,
        eligible=3,
        verdicts=2,
        missing_verdicts=1,
        indeterminate={"flat": 1, "missing data": 1},
        publish_arrival_ms=Quantiles(2.0, 2.0),
        window_verdict_ms=Quantiles(30.0, 39.8),
    )


def test_a_verdict_on_fewer_samples_than_its_window_holds_is_none(engine: Engine, tmp_path: Path) -> None:
    log = tmp_path / "published.csv"
    log.write_text("")
    Archive(engine).commit(windows=[window(0), window(5000), window(10_000, coverage=0.96)])
    for first, coverage in ((0, 0.97), (5000, 1.0), (10_000, 0.96)):
        decide(engine, first, 21_000, coverage=coverage)
    found = account(engine, log)
    assert (found.eligible, found.verdicts, found.missing_verdicts) == (3, 2, 1)


def test_nothing_measured_is_unknown(engine: Engine, tmp_path: Path) -> None:
    log = tmp_path / "published.csv"
    log.write_text("")
    found = account(engine, log)
    assert (found.published, found.lost, found.missing_verdicts) == (0, 0, 0)
    assert found.publish_arrival_ms == found.window_verdict_ms == Quantiles(None, None)


def test_a_log_torn_anywhere_but_at_its_end_is_refused(engine: Engine, tmp_path: Path) -> None:
    log = tmp_path / "published.csv"
    log.write_text(HEADER + "a/b,1,0\na/b,1,100,100,2000,9000,chunk\n")
    with pytest.raises(ValueError, match=r"line 2 is .*want 7 fields"):
        account(engine, log)
