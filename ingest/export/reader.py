"""The store -> what an export needs of one device: messages by arrival and by place, verdicts, alarms.

Everything the export asks of the store is asked here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from sqlalchemy import Engine, make_url, select

from ingest.store.location import waveforms_of
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import alarm_transition_table, open_store, told_by, verdict_table
from ingest.store.waveforms import as_received, longest_of_each_place

SLICE_US = 3_600_000_000  # of arrivals read at once; an hour of 512 Hz is 4 MB


@dataclass(frozen=True, slots=True)
class Happening:
    """A verdict or an alarm's transition; `first_sample` None where only the moment is known."""

    at_us: int  # our clock
    session: int | None
    first_sample: int | None
    text: str


class Reader:
    """One store, read only. All methods raise StoreError when it cannot be read."""

    def __init__(self, url: str) -> None:
        with told_by(make_url(url)):
            self._engine: Engine = open_store(url)
            self._waveforms = waveforms_of(self._engine)

    def close(self) -> None:
        """Let go of the store."""
        self._waveforms.close()
        self._engine.dispose()

    def devices(self) -> list[str]:
        """Every device that has chunks."""
        return sorted(self._waveforms.devices())

    def by_arrival(self, device: str, from_us: int, to_us: int) -> Iterator[ReceivedChunk]:
        """Messages with from_us <= received_us < to_us in order of arrival, read hour by hour."""
        extent = self._waveforms.extent(device)
        if extent is None:
            return
        start, end = max(from_us, extent[0]), min(to_us, extent[1] + 1)
        while start < end:
            stop = min(end, start + SLICE_US)
            yield from as_received(device, self._waveforms.between_arrivals(device, start, stop))
            start = stop

    def at_place(self, device: str, session: int, first_sample: int, end_sample: int) -> list[ReceivedChunk]:
        """Messages with samples in first_sample <= i < end_sample, in order of arrival."""
        found = self._waveforms.between_samples(device, session, first_sample, end_sample)
        return as_received(device, longest_of_each_place(found))

    def verdicts(self, device: str, session: int, first_sample: int, end_sample: int) -> list[Happening]:
        """Verdicts of windows that begin in first_sample <= i < end_sample, in order of place."""
        table = verdict_table.c
        query = (
            select(table.decided_us, table.first_sample, table.indeterminate, table.findings)
            .where(table.device == device, table.session == session)
            .where(table.first_sample >= first_sample, table.first_sample < end_sample)
            .order_by(table.first_sample)
        )
        with told_by(self._engine.url), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            Happening(decided_us, session, first, _verdict_text(indeterminate, findings))
            for decided_us, first, indeterminate, findings in rows
        ]

    def alarms(self, device: str, from_us: int, to_us: int) -> list[Happening]:
        """Alarm transitions with from_us <= at_us < to_us, oldest first."""
        table = alarm_transition_table.c
        query = (
            select(table.at_us, table.kind, table.state, table.priority)
            .where(table.device == device, table.at_us >= from_us, table.at_us < to_us)
            .order_by(table.at_us, table.id)
        )
        with told_by(self._engine.url), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            Happening(at_us, None, None, f"alarm {kind} {state} {priority}")
            for at_us, kind, state, priority in rows
        ]


def _verdict_text(indeterminate: str | None, findings: str) -> str:
    if indeterminate is not None:
        return f"verdict none: {indeterminate}"
    found = [each["superclass"] for each in msgspec.json.decode(findings) if each["presence"] == "present"]
    return f"verdict {' '.join(found) or 'nothing present'}"
