"""A store of an earlier version -> this one: chunks and vitals leave the SQLite file for the waveforms.

Nothing is deleted before it is on the disk at its new place; after a crash in between it begins again and
finds what is there already.
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Engine, Row, inspect, text

from ingest.store.rows import ReceivedChunk, as_chunk, kept_vitals
from ingest.store.waveforms import Waveforms
from ingest.vitals import Vitals

AT_ONCE = 2_000  # rows

logger = logging.getLogger(__name__)


def move_former(engine: Engine, waveforms: Waveforms) -> None:
    """Move what the tables `chunk` and `vitals` of an earlier version hold, if the store has them."""
    if not {"chunk", "vitals"} <= set(inspect(engine).get_table_names()):
        return
    logger.warning("the store is of an earlier version: its chunks are moved to their own files")
    chunks = "SELECT device, payload, received_us, historic FROM chunk ORDER BY id"
    vitals = "SELECT device, session, at_us, last_sample, heart_rate_bpm, signal FROM vitals ORDER BY at_us"
    n = 0
    for rows in _batches(engine, chunks):
        n += len(rows)
        _append(engine, waveforms, [_chunk(row) for row in rows], [])
    for rows in _batches(engine, vitals):
        _append(engine, waveforms, [], [_vitals(row) for row in rows])
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS chunk"))
        connection.execute(text("DROP TABLE IF EXISTS vitals"))
    logger.warning("moved %d chunks; the database file shrinks with VACUUM only", n)


def _append(
    engine: Engine, waveforms: Waveforms, chunks: Sequence[ReceivedChunk], vitals: Sequence[Vitals]
) -> None:
    with engine.begin() as connection:
        waveforms.append(chunks, vitals, connection)
    waveforms.confirm()


def _batches(engine: Engine, query: str) -> Iterator[list[Row[Any]]]:
    with engine.connect() as connection:
        rows = iter(connection.execution_options(yield_per=AT_ONCE).execute(text(query)))
        while batch := list(islice(rows, AT_ONCE)):
            yield batch


def _chunk(row: Row[Any]) -> ReceivedChunk:
    chunk = as_chunk(bytes(row.payload), row.device, historic=bool(row.historic))
    return ReceivedChunk(chunk, bytes(row.payload), row.received_us)


def _vitals(row: Row[Any]) -> Vitals:
    kept = (row.session, row.at_us, row.last_sample, row.heart_rate_bpm, row.signal)
    return kept_vitals(row.device, kept)
