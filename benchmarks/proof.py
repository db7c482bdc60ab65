"""A fleet's published log against the store: nothing is lost, stored twice or spoilt.

And the windows are as if nothing had ever been killed, and each eligible one has exactly one verdict.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, func, select

from ingest.chunk import Place
from ingest.pipeline import DevicePipeline
from ingest.store.accounting import Account, account
from ingest.store.archive import Archive
from ingest.store.rows import as_chunk
from ingest.store.schema import pending_table, verdict_table, window_table
from ingest.store.waveforms import Stored
from ingest.window import MIN_COVERAGE, Window
from ingest.wire import HEADER
from simulators.rings import FS, EcgRing

END_OF_STREAM = 1 << 60
EXAMPLES = 5  # of each trouble


@dataclass
class Proof:
    """Counts of what must not be; `examples` names the first few of each."""

    stored: int = 0  # places
    twice: int = 0  # places stored more than once
    spoilt: int = 0  # payloads that are not what the watch sent there
    windows: int = 0  # that an ingest that was never killed would have cut
    windows_missing: int = 0
    windows_other: int = 0  # stored with other samples or another coverage
    windows_more: int = 0  # stored and not wanted
    windows_historic: int = 0  # right, but cut again from the store instead of live
    verdicts_missing: int = 0  # of eligible windows
    verdicts_twice: int = 0
    pending: int = 0  # windows that still wait to be cut again
    lost: int = 0  # acknowledged and not stored
    lost_of: dict[str, int] = field(default_factory=dict)  # by device
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """True when nothing is wrong. A window cut again from the store is as good as a live one."""
        troubles = (
            self.lost, self.twice, self.spoilt, self.windows_missing, self.windows_other, self.windows_more,
            self.verdicts_missing, self.verdicts_twice,
        )  # fmt: skip
        return self.stored > 0 and not any(troubles)

    def note(self, trouble: str, example: object) -> None:
        """Count one."""
        setattr(self, trouble, getattr(self, trouble) + 1)
        examples = self.examples.setdefault(trouble, [])
        if len(examples) < EXAMPLES:
            examples.append(str(example))

    def as_figures(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"holds": self.holds}


def prove(
    engine: Engine, published_log: Path, sent: Sequence[tuple[EcgRing, int]], hop_s: float
) -> tuple[Proof, Account]:
    """Read everything back; minutes for hours of a fleet. `sent` is each watch's ring, and where it began.

    Raises ValueError when the log has a line that cannot be read, StoreError when the store cannot.
    """
    archive, proof = Archive(engine), Proof()
    found = account(engine, published_log)
    wanted: dict[Place, Window] = {}
    for device, session in sorted(_sessions(archive)):
        stored = archive.waveforms.between_samples(device, session, 0, END_OF_STREAM)
        ring, offset = sent[int(device.rpartition("-")[2])]
        _check_chunks(proof, device, stored, ring, offset)
        wanted |= {w.place: w for w in _windows_if_never_killed(device, stored, hop_s)}
    _check_log(proof, archive, published_log)
    _check_windows(proof, engine, archive, wanted)
    _check_verdicts(proof, engine)
    return proof, found


def _sessions(archive: Archive) -> set[tuple[str, int]]:
    return {
        (part.device, session)
        for part in archive.waveforms.arrivals()
        for session in np.unique(part.sessions).tolist()
    }


def _check_chunks(proof: Proof, device: str, stored: list[Stored], ring: EcgRing, offset: int) -> None:
    """Each place once, and each payload bit by bit what this watch sends there."""
    for first, times in Counter(each.first_sample for each in stored).items():
        proof.stored += 1
        if times > 1:
            proof.note("twice", f"{device} {first}: {times} times")
    for each in stored:
        header = HEADER.unpack_from(each.payload)
        told = header[7], header[9], header[13]  # session, first sample, samples
        samples = each.payload[HEADER.size :]
        if told != (each.session, each.first_sample, each.n_samples) or samples != ring.samples(
            each.first_sample + offset, each.n_samples
        ):
            proof.note("spoilt", f"{device} {each.first_sample}")


def _windows_if_never_killed(device: str, stored: list[Stored], hop_s: float) -> Iterator[Window]:
    """The stored chunks, in the order of their samples, through the same stages in one go."""
    pipeline = DevicePipeline(device, hop_s=hop_s)
    for each in sorted(stored, key=lambda each: each.first_sample):
        at_us = round(each.first_sample / FS * 1e6)  # arrival without any delay
        yield from pipeline.push(as_chunk(each.payload, device, historic=False), at_us)


def _check_log(proof: Proof, archive: Archive, published_log: Path) -> None:
    kept = {
        (part.device, session, first)
        for part in archive.waveforms.arrivals()
        for session, first in zip(part.sessions.tolist(), part.first_samples.tolist(), strict=True)
    }
    lost: Counter[str] = Counter()
    for line in published_log.read_text().splitlines()[1:]:
        device, session, first, _n_samples, _sent_us, acked_us, kind = line.split(",")
        if kind == "chunk" and (device, int(session), int(first)) not in kept:
            proof.note("lost", f"{device} {first} acknowledged {int(acked_us) / 1e6:.3f}")
            lost[device] += 1
    proof.lost_of = dict(lost)


def _check_windows(proof: Proof, engine: Engine, archive: Archive, wanted: dict[Place, Window]) -> None:
    proof.windows = len(wanted)
    table = window_table.c
    with engine.connect() as connection:
        rows = connection.execute(select(table.device, table.session, table.first_sample)).all()
        proof.pending = connection.scalars(select(func.count()).select_from(pending_table)).one()
    places = {(row.device, row.session, row.first_sample) for row in rows}
    for place in sorted(wanted.keys() - places):
        proof.note("windows_missing", place)
    for place in sorted(places):
        window = archive.window(*place)
        if place not in wanted:
            proof.note("windows_more", place)
        elif window is None or not _is_same(window, wanted[place]):
            proof.note("windows_other", place)
        elif window.historic:
            proof.note("windows_historic", place)


def _check_verdicts(proof: Proof, engine: Engine) -> None:
    window, verdict = window_table.c, verdict_table.c
    with engine.connect() as connection:
        eligible = connection.execute(
            select(window.device, window.session, window.first_sample).where(window.coverage >= MIN_COVERAGE)
        ).all()
        rows = connection.execute(select(verdict.device, verdict.session, verdict.first_sample)).all()
    verdicts = Counter(map(tuple, rows))
    for place in map(tuple, eligible):
        if verdicts[place] == 0:
            proof.note("verdicts_missing", place)
        elif verdicts[place] > 1:
            proof.note("verdicts_twice", place)


def _is_same(one: Window, other: Window) -> bool:
    facts = ("fs", "lead", "coverage", "lead_off", "clipped", "wall_time_us")
    return all(getattr(one, name) == getattr(other, name) for name in facts) and np.array_equal(
        one.samples_mv, other.samples_mv, equal_nan=True
    )
