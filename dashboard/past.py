"""The store as the dashboard reads it: opened when it is first asked, and no row of it is written.

Where it is missing it is made, empty; bringing an earlier one up to date is ingest's.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from numpy.typing import NDArray
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from dashboard.strip import AFTER_S, BEFORE_S, RUN_IN_S, SECOND_US, Piece, piece_of, stretches_around
from ingest.store.archive import Archive
from ingest.store.rows import Refused, RefusedCount
from ingest.store.schema import open_store, told_by
from ingest.store.waveforms import as_received
from ingest.window import Window

OPENING_WAIT_MS = 1000  # for a writer: a person waits, and asks again
LONGEST_CHUNK_S = 15  # a chunk comes when its last sample was taken: looked for this much around the strip

Answer = TypeVar("Answer")


class Past:
    """What ingest and the alarm service stored. All methods raise StoreError when it cannot be read.

    They may be called from many threads, and one that waits for the store holds up none of the others.
    """

    def __init__(self, store_address: str) -> None:
        self.address = store_address
        self._store: tuple[Engine, Archive] | None = None

    def ask(self, query: Callable[[Engine], Answer]) -> Answer:
        """The answer of a query of inference/alarms."""
        engine, _ = self._opened()
        with told_by(make_url(self.address)):
            return query(engine)

    def window(self, device: str, session: int, first_sample: int) -> Window | None:
        """The stored window that begins there; None when there is none."""
        _, archive = self._opened()
        return archive.window(device, session, first_sample)

    def extents(self, devices: Iterable[str]) -> dict[str, tuple[int, int]]:
        """When the first and last stored samples of each device came; devices without any are left out."""
        _, archive = self._opened()
        found = ((device, archive.waveforms.extent(device)) for device in devices)
        return {device: extent for device, extent in found if extent is not None}

    def vitals_rows(self, device: str, from_us: int, to_us: int) -> NDArray[Any]:
        """Vitals of each second in from_us <= at_us < to_us, oldest first, (n,) of VITALS_ROW."""
        _, archive = self._opened()
        return archive.waveforms.vitals_rows(device, from_us, to_us)

    def strip(self, device: str, moment_us: int) -> list[Piece]:
        """What is stored from BEFORE_S before to AFTER_S after a moment of our clock, one piece a session."""
        _, archive = self._opened()
        from_us = moment_us - round((BEFORE_S + RUN_IN_S + LONGEST_CHUNK_S) * SECOND_US)
        to_us = moment_us + round((AFTER_S + LONGEST_CHUNK_S) * SECOND_US)
        found = archive.waveforms.between_arrivals(device, from_us, to_us)
        live = as_received(device, [each for each in found if not each.historic])
        return [
            piece
            for each in stretches_around(moment_us, live)
            if (
                piece := piece_of(
                    each, archive.samples(device, each.session, each.first_sample, each.n_samples)
                )
            )
        ]

    def refused(self, device: str) -> list[Refused]:
        """The newest refused payloads of a device, oldest first."""
        _, archive = self._opened()
        return archive.refused(device)

    def refused_counts(self) -> list[RefusedCount]:
        """Every device of which refused payloads are kept."""
        _, archive = self._opened()
        return archive.refused_counts()

    def archive(self) -> Archive:
        """The store itself, for what reads much of it."""
        return self._opened()[1]

    def devices(self) -> dict[str, int]:
        """Every device that has samples, and when its last ones came."""
        return self.archive().devices()

    def close(self) -> None:
        """Let go of files and connections; the next question opens them again."""
        if self._store is not None:
            engine, archive = self._store
            self._store = None
            archive.waveforms.close()
            engine.dispose()

    def _opened(self) -> tuple[Engine, Archive]:
        if self._store is None:
            with told_by(make_url(self.address)):
                engine = open_store(self.address, busy_wait_ms=OPENING_WAIT_MS)
                self._store = engine, Archive(engine)  # of two that open at once the later one stays
        return self._store
