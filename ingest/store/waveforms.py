"""What the store asks of the place that keeps waveforms and vitals: partitions by arrival, dropped whole.

`segments.py` keeps them in files for one machine, `partitions.py` in PostgreSQL.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from ingest.chunk import Place
from ingest.store.rows import ReceivedChunk, as_chunk
from ingest.vitals import Vitals

MAX_SESSIONS = 100_000  # remembered, 30 MB: a device that begins one with each chunk makes 8 million a day
PLACE = np.dtype(  # of one stored chunk, without what it holds
    [
        ("session", "<i8"), ("first_sample", "<i8"), ("n_samples", "<i8"), ("received_us", "<i8"),
        ("historic", "?"),
    ]
)  # fmt: skip
Span = tuple[int, int]  # first sample, and one past the last

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored message of a device."""

    session: int
    first_sample: int
    n_samples: int
    received_us: int
    historic: bool
    payload: bytes  # as it came


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: arrays have no single truth value
class Arrivals:
    """What came from one device in one partition; the arrays go together, in no particular order."""

    device: str
    sessions: NDArray[np.int64]
    first_samples: NDArray[np.int64]
    received_us: NDArray[np.int64]


class Waveforms(Protocol):
    """All methods raise StoreError when the place cannot be read or written."""

    def append(
        self, chunks: Sequence[ReceivedChunk], vitals: Sequence[Vitals], transaction: Connection
    ) -> frozenset[Place]:
        """Keep what is new, all or nothing; the places that are new, or were not confirmed.

        A place that is known is kept again only with more samples than before. What it keeps is on the disk
        when `transaction`, which takes all else that belongs to the chunks, has been committed, or before.
        """

    def confirm(self) -> None:
        """The transaction of all that was appended has been committed."""

    def overlapping(self, chunks: Sequence[ReceivedChunk]) -> list[tuple[str, Stored]]:
        """(device, stored chunk) of all that share a sample's place with one of these.

        Cheap where chunks begin beyond the newest place of their session: for those nothing is looked up.
        """

    def between_samples(self, device: str, session: int, first_sample: int, end_sample: int) -> list[Stored]:
        """Every chunk with samples in first_sample <= i < end_sample, in order of arrival.

        A place may come more than once: a chunk cut anew, longer than before.
        """

    def between_arrivals(self, device: str, from_us: int, to_us: int) -> list[Stored]:
        """Every chunk with from_us <= received_us < to_us, in order of arrival; of a place the longest."""

    def places(self, device: str, from_us: int, to_us: int) -> NDArray[Any]:
        """Where the chunks with from_us <= received_us < to_us belong, (n,) of PLACE, in order of arrival.

        No message is read for it. A place may come more than once.
        """

    def vitals(self, device: str, from_us: int, to_us: int) -> list[Vitals]:
        """Vitals with from_us <= at_us < to_us, oldest first."""

    def vitals_rows(self, device: str, from_us: int, to_us: int) -> NDArray[Any]:
        """The same as rows, (n,) of VITALS_ROW: a day has 86,400, too many for records."""

    def devices(self, since_us: int = 0) -> dict[str, int]:
        """Every device that has chunks, and when its last one came, Unix microseconds.

        Those whose last one came before `since_us` may be left out.
        """

    def extent(self, device: str) -> tuple[int, int] | None:
        """When the device's first and last chunk came, Unix microseconds; None when it has none."""

    def first_arrival_us(self, device: str, session: int, first_sample: int) -> int | None:
        """When the first chunk came that holds `first_sample` or what follows; None while there is none."""

    def arrivals(self) -> Iterator[Arrivals]:
        """Everything that is kept, for accounting; a place may come more than once."""

    def drop_before(self, us: int) -> int:
        """Remove every partition whose newest arrival is older; how many."""

    def tidy(self) -> None:
        """Do what need not be done at once, such as compressing partitions that are complete."""

    def close(self) -> None:
        """Let go of files and connections."""


def in_order_of_arrival(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Parts (n,) of PLACE as one."""
    joined = np.concatenate([np.empty(0, PLACE), *parts])
    return joined[np.argsort(joined["received_us"], kind="stable")]


@dataclass(slots=True)
class NewPlaces:
    """Tells which chunks are new, cheaply: what lies beyond the newest place of its session must be."""

    newest: dict[tuple[str, int], int]  # (device, session) -> first sample of the newest place
    ends: dict[tuple[str, int], int] = field(default_factory=dict)  # one past its last, once it is known
    is_all: bool = True  # a session that is not in `newest` has no place in the store

    def unknown(self, chunks: Sequence[ReceivedChunk]) -> set[tuple[str, int]]:
        """Sessions of which it must be looked up what is stored; then `learn`."""
        if self.is_all:
            return set()
        return {(c.device, c.session) for c in (each.chunk for each in chunks)} - self.newest.keys()

    def learn(self, newest: Mapping[tuple[str, int], int]) -> None:
        """The first sample of the newest place of each session; -1 when none is stored."""
        self.newest.update(newest)

    def of(
        self, chunks: Sequence[ReceivedChunk], known: Callable[[Iterable[Place]], dict[Place, int]]
    ) -> list[ReceivedChunk]:
        """Those to be kept, in their order; `known` tells how many samples the store has at each place."""
        longest: dict[Place, ReceivedChunk] = {}
        doubtful: set[Place] = set()
        newest = self.newest
        for each in chunks:
            chunk = each.chunk
            session, first_sample = (chunk.device, chunk.session), chunk.first_sample
            place = (*session, first_sample)
            known_here = longest.get(place)
            if known_here is not None and known_here.chunk.n_samples >= chunk.n_samples:
                continue
            longest[place] = each
            if first_sample <= newest.get(session, -1):
                doubtful.add(place)
        if doubtful:
            for place, n_samples in known(doubtful).items():
                if longest[place].chunk.n_samples <= n_samples:
                    del longest[place]
        return list(longest.values())

    def doubtful(self, chunks: Sequence[ReceivedChunk]) -> dict[tuple[str, int], list[Span]]:
        """By (device, session): what they claim to hold of what is stored already, in order."""
        found: dict[tuple[str, int], list[Span]] = {}
        newest, ends = self.newest, self.ends
        for each in chunks:
            chunk = each.chunk
            session, first_sample = (chunk.device, chunk.session), chunk.first_sample
            if first_sample <= newest.get(session, -1) or first_sample < ends.get(session, -1):
                found.setdefault(session, []).append((chunk.first_sample, chunk.end_sample))
        return {session: joined_spans(spans) for session, spans in found.items()}

    def note(self, kept: Sequence[ReceivedChunk]) -> frozenset[Place]:
        """They are on the disk now; their places."""
        if len(self.newest) > MAX_SESSIONS:
            self.newest.clear()
            self.ends.clear()
            self.is_all = False
        places, newest = [], self.newest
        for each in kept:
            chunk = each.chunk
            session, first_sample = (chunk.device, chunk.session), chunk.first_sample
            if first_sample > newest.get(session, -1):
                newest[session] = first_sample
                self.ends[session] = first_sample + len(chunk.samples_mv)
            places.append((*session, first_sample))
        return frozenset(places)


def as_received(device: str, found: Iterable[Stored]) -> list[ReceivedChunk]:
    """What is stored as chunks; without what an earlier version took and this one would refuse."""
    chunks = []
    for each in found:
        try:
            chunk = as_chunk(each.payload, device, historic=each.historic)
        except (ValueError, RecursionError) as error:  # one chunk must not keep every service from starting
            place = f"{device}:{each.session}:{each.first_sample}"
            logger.warning("the stored chunk %s is left out: %s", place, error)
            continue
        chunks.append(ReceivedChunk(chunk, each.payload, each.received_us))
    return chunks


def joined_spans(spans: Iterable[Span]) -> list[Span]:
    """The same samples in as few spans as possible, in order."""
    joined: list[Span] = []
    for first, end in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((first, end))
    return joined


def is_touched(
    firsts: NDArray[np.int64], n_samples: NDArray[Any], spans: Sequence[Span]
) -> NDArray[np.bool_]:
    """Which chunks, (n,), have a sample in one of the joined spans."""
    begins, ends = np.array(spans, np.int64).reshape(-1, 2).T
    before = np.searchsorted(begins, firsts + n_samples) - 1  # the last span to begin before a chunk's end
    return np.asarray((before >= 0) & (ends[before] > firsts))


def longest_of_each_place(chunks: Sequence[Stored]) -> list[Stored]:
    """Of chunks that begin at the same sample the longest, the first of equals, in order of arrival.

    It stands where the first of its place came, with that one's arrival: cut anew, it is no later for that.
    """
    longest: dict[tuple[int, int], Stored] = {}
    for each in chunks:
        place = (each.session, each.first_sample)
        first = longest.setdefault(place, each)
        if first.n_samples < each.n_samples:
            longest[place] = replace(each, received_us=first.received_us)
    return list(longest.values())
