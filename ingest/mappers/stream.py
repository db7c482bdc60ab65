"""One device's readings, in order of arrival -> their places: session and index of the first sample.

A place comes from a counter, a clock, or, where the payload has neither, from counting samples. What is
missing between two readings is a gap only where it is certain to the sample (`loss.py`); else a new session
begins. A reading with a clock or a counter that comes again gets the same place again.
"""

import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.mappers.device_clock import DeviceClock, Stamp
from ingest.mappers.loss import Arrived, LossRules, samples_lost
from ingest.mappers.reading import Place, Reading
from ingest.mappers.true_rate import TrueRate

# Readings that are known again when, after a cut, the broker sends what was not acknowledged: 10 s of the
# fastest source. A counter and a clock together tell a place without it. 0.2 MB for each device.
REMEMBERED = 512
SAME_FS = 1e-3  # share by which the rate may waver within one session


@dataclass(frozen=True, slots=True)
class _Newest:
    """The reading before, and where it was put."""

    place: Place
    arrived: Arrived
    lead: Lead


@dataclass(frozen=True, slots=True)
class _Stored:
    """A chunk of before this process, by which its reading is known again."""

    place: Place
    n: int
    content: int


class Stream:
    """Places the readings of one device."""

    def __init__(
        self, device: str, loss: LossRules, clock: DeviceClock, *, fs_from_stamps: bool = False
    ) -> None:
        self.seq = 0  # chunks made
        self._device = device
        self._loss = loss
        self._clock = clock
        self._rate = TrueRate() if fs_from_stamps else None
        self._newest: _Newest | None = None
        self._stored_end: tuple[Place, int, Lead] | None = None
        self._known: OrderedDict[int, tuple[Place, int]] = OrderedDict()
        self._stored: dict[int, _Stored] = {}

    def place(self, reading: Reading, received_us: int) -> Place:
        """Where the reading's first sample lies; raises WireError for an impossible stamp."""
        stamp = self._read_stamp(reading, received_us)
        first_ns = None if stamp is None else self._first_ns(reading, stamp)
        known = self._again(reading, first_ns, received_us)
        if known is not None:
            return known
        place = self._next(reading, stamp, received_us)
        arrived = Arrived(reading.n, reading.sequence, stamp, received_us)
        self._newest = _Newest(place, arrived, reading.lead)
        key = _key(reading, first_ns)
        if key is not None:
            self._known[key] = (place, received_us)
            self._known.move_to_end(key)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return place

    def resume(self, chunks: Sequence[Chunk]) -> None:
        """Know again what was stored before this process, and continue its newest session.

        Only readings with a clock can be known again.
        """
        for chunk in chunks[-REMEMBERED:]:
            if chunk.device_ns and ChunkFlag.HISTORIC not in chunk.flags:
                is_synced = ChunkFlag.CLOCK_UNSYNCED not in chunk.flags
                place = Place(
                    chunk.session,
                    chunk.first_sample,
                    chunk.wall_time_us,
                    chunk.device_ns,
                    is_synced=is_synced,
                    fs=chunk.fs,
                )
                content = zlib.crc32(chunk.samples_mv[:, 0].tobytes())
                self._stored[chunk.device_ns] = _Stored(place, chunk.n_samples, content)
                self._stored_end = (place, chunk.n_samples, chunk.leads[0])

    def _read_stamp(self, reading: Reading, received_us: int) -> Stamp | None:
        if reading.stamp is None:
            return None
        is_of_this = self._loss.stamps_last or self._newest is None
        n_between = reading.n if is_of_this or self._newest is None else self._newest.arrived.n
        return self._clock.read(reading.stamp, received_us, n_between / reading.fs)

    def _first_ns(self, reading: Reading, stamp: Stamp) -> int:
        """The device's clock at the first sample; from the claimed rate, so that it is the same again."""
        back_s = (reading.n - 1) / reading.fs if self._loss.stamps_last else 0.0
        return stamp.ns - round(back_s * 1e9)

    def _again(self, reading: Reading, first_ns: int | None, received_us: int) -> Place | None:
        """The place of the same reading when it came before."""
        stored = None if first_ns is None else self._stored.get(first_ns)
        if stored is not None and stored.content == zlib.crc32(reading.samples_mv[: stored.n].tobytes()):
            return stored.place
        key = _key(reading, first_ns)
        found = None if key is None else self._known.get(key)
        if found is None:
            return None
        place, came_us = found
        if first_ns is None and self._loss.modulus is not None:  # the counter may have gone round
            unit = 1 if self._loss.counts_samples else reading.n
            if received_us - came_us >= self._loss.modulus * unit / place.fs * 1e6 / 2:
                return None
        return place

    def _next(self, reading: Reading, stamp: Stamp | None, received_us: int) -> Place:
        if self._newest is None:
            self._newest = self._from_store(reading, stamp, received_us)
        newest, lost = self._newest, None
        if newest is not None and newest.lead == reading.lead:
            arrived = Arrived(reading.n, reading.sequence, stamp, received_us)
            is_measured = self._rate is not None and self._rate.fs is not None
            fs = newest.place.fs
            lost = samples_lost(newest.arrived, arrived, fs, self._loss, fs_is_measured=is_measured)
        fs = self._fs(reading, stamp, lost)
        if newest is not None and lost is not None and abs(newest.place.fs - fs) <= SAME_FS * fs:
            first_sample = newest.place.first_sample + newest.arrived.n + lost
            if first_sample >= 0:
                return self._at(reading, stamp, received_us, replace(newest.place, first_sample=first_sample))
        start = received_us if stamp is None else self._first_ns(reading, stamp)
        session = session_of(self._device, start, reading)
        return self._at(reading, stamp, received_us, Place(session, 0, 0, 0, is_synced=False, fs=fs))

    def _from_store(self, reading: Reading, stamp: Stamp | None, received_us: int) -> _Newest | None:
        """The newest stored chunk as the reading before this one; None where no clock joins them."""
        if self._stored_end is None or stamp is None:
            return None
        place, n, lead = self._stored_end
        last_s = (n - 1) / reading.fs if self._loss.stamps_last else 0.0
        before = replace(stamp, ns=place.device_ns + round(last_s * 1e9))
        return _Newest(place, Arrived(n, None, before, received_us), lead)

    def _fs(self, reading: Reading, stamp: Stamp | None, lost: int | None) -> float:
        """The rate of the stream from here on, whole mHz as the wire has it."""
        claimed = round(reading.fs, 3)
        if self._rate is None or stamp is None:
            return claimed
        if lost != 0:
            self._rate.restart()
        newest = self._newest
        first = 0
        if newest is not None and lost is not None:
            first = newest.place.first_sample + newest.arrived.n + lost
        self._rate.push(stamp.ns, first + (reading.n - 1 if self._loss.stamps_last else 0), claimed)
        if self._rate.fs is not None:
            return self._rate.fs
        return claimed if newest is None or lost is None else newest.place.fs

    def _at(self, reading: Reading, stamp: Stamp | None, received_us: int, place: Place) -> Place:
        """The place with its times."""
        first_ns = 0 if stamp is None else self._first_ns(reading, stamp)
        if stamp is not None and stamp.wall_us is not None:
            wall_us = max(0, stamp.wall_us + (first_ns - stamp.ns) // 1000)
            return replace(place, wall_time_us=wall_us, device_ns=first_ns, is_synced=stamp.is_synced)
        newest = self._newest
        if newest is not None and newest.place.session == place.session and not newest.place.is_synced:
            ahead_s = (place.first_sample - newest.place.first_sample) / place.fs
            wall_us = newest.place.wall_time_us + round(ahead_s * 1e6)
        else:
            wall_us = max(0, received_us - round(reading.span_s * 1e6))
        return replace(place, wall_time_us=wall_us, device_ns=first_ns, is_synced=False)


def session_of(device: str, start: int, reading: Reading) -> int:
    """A u32 for a stream or recording that starts so: the same again for the same start and samples."""
    digest = blake2b(f"{device} {start}".encode(), digest_size=4)
    digest.update(reading.samples_mv.tobytes())
    return int.from_bytes(digest.digest(), "big")


def _key(reading: Reading, first_ns: int | None) -> int | None:
    """By what a reading is known again; None where it cannot be.

    Clock and content: a clock that stands still must not make new samples look like old ones. A counter
    alone starts anew with its device, so a constant signal (a loose lead) proves nothing then.
    """
    content = zlib.crc32(reading.samples_mv.tobytes())
    if first_ns is not None:
        return hash((True, first_ns, reading.n, content))
    if reading.sequence is not None and np.ptp(reading.samples_mv) > 0:
        return hash((False, reading.sequence, reading.n, content))
    return None
