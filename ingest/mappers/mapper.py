"""Configured mappers: a message of a stranger's topic -> chunks, each with its device and its place."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ingest.chunk import NO_FLAGS, Chunk, ChunkFlag
from ingest.encoding import WireError
from ingest.mappers import fhir, field, health_auto_export, json_payload
from ingest.mappers.configuration import MapperConfig, Source
from ingest.mappers.device_clock import DeviceClock
from ingest.mappers.identity import id_of
from ingest.mappers.loss import LossRules
from ingest.mappers.reading import Place, Reading
from ingest.mappers.stream import Stream, session_of
from ingest.topics import check_site
from ingest.wire import MAX_SAMPLES

MAX_STREAMS = 4096  # devices that one mapper follows; the longest silent is forgotten first
MAX_PIECES = 256  # chunks that holes and clipping may cut one reading into
_OURS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)

StoredChunks = Callable[[str], Sequence[Chunk]]  # a device's newest stored chunks, oldest first


class MappingError(WireError):
    """A payload, or a part of it, cannot be mapped.

    `device` is whose it was, None where that is not known; `chunks` are of the parts that can be mapped.
    """

    def __init__(self, text: str, device: str | None = None, chunks: Sequence[Chunk] = ()) -> None:
        super().__init__(text)
        self.device = device
        self.chunks = list(chunks)


class Mapper:
    """One `[[mapper]]` table at work; follows each of its devices on its own."""

    def __init__(self, config: MapperConfig, stored: StoredChunks = lambda _device: ()) -> None:
        """`stored` is asked once for each device whose payloads can be known again; what it raises passes."""
        self.config = config
        self._stored = stored
        self._streams: OrderedDict[str, Stream] = OrderedDict()

    @property
    def is_heavy(self) -> bool:
        """True when payloads may be large and none depends on another: take them part by part."""
        return self.config.format == "health_auto_export"

    def push(self, topic: str, payload: bytes, received_us: int) -> list[Chunk]:
        """The chunks of one message, in order; raises MappingError, with the chunks of its good parts.

        What comes again gets the same session and index again where its clock, counter or content shows it.
        """
        chunks: list[Chunk] = []
        try:
            for part in self.parts(topic, payload, received_us):
                chunks += part
        except MappingError as error:
            error.chunks = chunks
            raise
        return chunks

    def parts(self, topic: str, payload: bytes, received_us: int) -> Iterator[list[Chunk]]:
        """The chunks of each part of a message, a step each; raises MappingError after the last.

        A part is one ECG of a Health Auto Export, one Observation of a Bundle; other payloads have one.
        """
        device, problems, n_parts = self.device_of(topic), list[str](), 0
        try:
            for n_parts, found in enumerate(self._read(payload), 1):
                if isinstance(found, WireError):
                    problems.append(f"part {n_parts}: {found}")
                    continue
                device = self._device(topic, found[1])
                yield self._chunks(device, found[0], received_us)
        except _OURS as error:
            told = error if isinstance(error, WireError) else f"cannot be read: {error!r}"
            raise MappingError(str(told), device) from None
        if problems:
            text = f"{len(problems)} of {n_parts} refused: {'; '.join(problems)}"[:1000]
            raise MappingError(text, device)

    def device_of(self, topic: str) -> str | None:
        """The device as far as the topic tells; None where the payload would have to."""
        try:
            return self._device(topic, {})
        except WireError:
            return None

    def _read(self, payload: bytes) -> Iterable[tuple[Reading, Any] | WireError]:
        match self.config.format:
            case "health_auto_export":
                return health_auto_export.read_ecgs(payload, self.config.told_lead)
            case "fhir":
                return fhir.read_resources(payload, self.config.told_lead)
            case _:
                return iter([json_payload.read_payload(self.config, payload)])

    def _device(self, topic: str, document: Any) -> str:
        levels = topic.split("/")
        ids = [_id(source, levels, document) for source in (self.config.site, self.config.device)]
        device = "/".join(ids)
        try:
            check_site(device)
        except ValueError as error:
            raise WireError(str(error)) from None
        return device

    def _chunks(self, device: str, reading: Reading, received_us: int) -> list[Chunk]:
        stream = self._stream(device)
        if self.config.recording:
            place = _place_of_recording(device, reading, received_us)
            flags = reading.flags | ChunkFlag.HISTORIC
        else:
            place = stream.place(reading, received_us)
            flags = reading.flags
        if not place.is_synced:
            flags |= ChunkFlag.CLOCK_UNSYNCED
        chunks = []
        for start, end, is_clipped in _pieces(reading):
            piece_flags = flags | (ChunkFlag.CLIPPED if is_clipped else NO_FLAGS)
            samples = np.array(reading.samples_mv[start:end, None])
            ahead_s = start / place.fs
            chunks.append(
                Chunk(
                    device=device,
                    session=place.session,
                    seq=stream.seq & 0xFFFFFFFF,
                    first_sample=place.first_sample + start,
                    wall_time_us=place.wall_time_us + round(ahead_s * 1e6),
                    device_ns=place.device_ns + round(ahead_s * 1e9) if place.device_ns else 0,
                    fs=place.fs,
                    leads=(reading.lead,),
                    samples_mv=samples,
                    flags=piece_flags,
                )
            )
            stream.seq += 1
        return chunks

    def _stream(self, device: str) -> Stream:
        stream = self._streams.get(device)
        if stream is None:
            stream = self._new_stream(device)
            if self.config.time_key is not None and not self.config.recording:
                stream.resume(self._stored(device))
            self._streams[device] = stream
            if len(self._streams) > MAX_STREAMS:
                self._streams.popitem(last=False)
        self._streams.move_to_end(device)
        return stream

    def _new_stream(self, device: str) -> Stream:
        config = self.config
        rules = LossRules(
            modulus=config.sequence_modulus,
            counts_samples=config.sequence_counts == "samples",
            stamps_last=config.time_stamps == "last",
            jitter_s=config.jitter_s,
            silence_s=config.silence_s,
        )
        clock = DeviceClock(config.time_unit, config.time_epoch)
        return Stream(device, rules, clock, fs_from_stamps=config.fs_from_stamps)


def _id(source: Source, levels: list[str], document: Any) -> str:
    if source.fixed is not None:
        return source.fixed
    if source.level is not None:
        if source.level >= len(levels):
            raise WireError(f"topic has {len(levels)} levels, its id was to be level {source.level}")
        return id_of(levels[source.level])
    name = field.look_up(document, str(source.key))
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise WireError(f"{source.key} is {str(name)[:40]!r}, want a text or a whole number as id")
    return id_of(str(name))


def _place_of_recording(device: str, reading: Reading, received_us: int) -> Place:
    """A recording is a session of its own, told by its start and its samples: the same again, a duplicate.

    One in 4 billion sessions is another's: among 1,000 recordings of one device two meet with 1 : 9,000.
    """
    start_us = reading.start_us
    session = session_of(device, start_us or 0, reading)
    wall_us = max(0, received_us - round(reading.span_s * 1e6)) if start_us is None else start_us
    return Place(session, 0, wall_us, 0, is_synced=start_us is not None, fs=reading.fs)


def _pieces(reading: Reading) -> Iterator[tuple[int, int, bool]]:
    """(start, end, clipped) of each run of samples of one kind, none where they are missing.

    Raises WireError where a reading is cut up too often.
    """
    is_missing = np.isnan(reading.samples_mv)
    if not len(reading.clipped) and not is_missing.any():
        for first in range(0, reading.n, MAX_SAMPLES):  # nearly always: 20 us less
            yield first, min(first + MAX_SAMPLES, reading.n), False
        return
    clipped = reading.clipped if len(reading.clipped) else np.zeros(reading.n, bool)
    kind = np.where(is_missing, 2, clipped)
    if np.count_nonzero(np.diff(kind)) >= MAX_PIECES:
        # Calling good samples clipped loses none, and the window is refused for so much clipping anyway.
        kind = np.where(is_missing, 2, clipped.any())
    edges = [0, *(np.flatnonzero(np.diff(kind)) + 1).tolist(), reading.n]
    if len(edges) > MAX_PIECES:
        raise WireError(f"{len(edges) - 1} runs of missing samples, want at most {MAX_PIECES}")
    for start, end in pairwise(edges):
        if kind[start] < 2:
            for first in range(start, end, MAX_SAMPLES):
                yield first, min(first + MAX_SAMPLES, end), bool(kind[start])
