"""Messages of all devices -> a batch to store; each device has its own pipeline, none can harm another."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from msgspec.structs import replace

from ingest.batch import Batch
from ingest.chunk import Chunk, ChunkFlag
from ingest.mappers.exact import encode_exactly
from ingest.mappers.mapper import Mapper, MappingError
from ingest.mappers.switch import Mappers
from ingest.pipeline import DevicePipeline
from ingest.roster import IDLE_US, CrowdedError, KnownDevice, Roster, RosterCounters
from ingest.sender import sender_of
from ingest.store.rows import ReceivedChunk, Refused
from ingest.topics import UNKNOWN_DEVICE
from ingest.vitals import Vitals
from ingest.vitals_together import advance_together
from ingest.window import NextWindow, Window
from ingest.wire import WireError, decode

# What a message may be refused for.
WRONG = ("contradiction", "crowded", "mapping", "payload", "status", "topic")

logger = logging.getLogger(__name__)


class _Status(msgspec.Struct):
    """What a device says about itself (wire.md); the rest of it is not ours."""

    battery: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None


_decode_status = msgspec.json.Decoder(_Status).decode


@dataclass(slots=True)
class IntakeCounters(RosterCounters):
    """Since this process started."""

    chunks: int = 0
    mapped: int = 0  # of them, from payloads that a mapper read
    windows: int = 0
    retained: int = 0  # chunks that a device wrongly asked the broker to keep; ignored
    faults: int = 0


@dataclass(slots=True)
class Intake:
    """All devices. `receive`, `tick` and `vitals` fill `batch`, which the owner takes with `take`."""

    new_pipeline: Callable[[str], DevicePipeline]
    mappers: Mappers = field(default_factory=Mappers)
    on_mapped: Callable[[str, bytes], None] | None = None  # is told each live chunk of a mapper, as wire v1
    batch: Batch = field(default_factory=Batch)
    counters: IntakeCounters = field(default_factory=IntakeCounters)
    latest: dict[str, Vitals] = field(default_factory=dict)
    roster: Roster = field(init=False)

    def __post_init__(self) -> None:
        self.roster = Roster(self._keep_refused, self.counters)

    @property
    def n_devices(self) -> int:
        """Devices heard within the last 10 minutes."""
        return len(self.roster)

    @property
    def n_doubted(self) -> int:
        """Devices that claim a unit or a rate that cannot be true."""
        return sum(1 for each in self.latest.values() if each.doubts)

    def take(self) -> Batch:
        """The batch so far; a new one begins."""
        batch, self.batch = self.batch, Batch()
        return batch

    def receive(self, topic: str, payload: bytes, received_us: int, *, retained: bool = False) -> bool:
        """Take one message; whatever is malformed is refused, counted and kept for inspection.

        False when it was too much of its device and nothing of it is kept: it need not wait for a commit.
        Raises StoreError when a mapped device's past is needed and cannot be read: then take it again later.
        """
        mapper = self.mappers.of(topic) if self.mappers.topics else None
        if mapper is not None:
            over_limit, n_kept = self.counters.over_limit, self.batch.n_kept
            for _ in self.parts(mapper, topic, payload, received_us, retained=retained):
                pass
            return self.counters.over_limit == over_limit or self.batch.n_kept > n_kept
        device, kind, n_refused = UNKNOWN_DEVICE, "", len(self.batch.refused)
        try:
            device, kind = sender_of(topic)
            if kind == "status":
                self._note_status(device, payload, received_us)
            elif retained:
                self.roster.known(device, received_us)
                self.counters.retained += 1  # an old chunk must not look like a live patient
            elif not self.roster.admits(device, payload, received_us):
                return len(self.batch.refused) > n_refused
            else:
                self._take_chunk(device, payload, received_us, is_backfill=kind == "backfill")
        except (WireError, ValueError, RecursionError) as error:  # msgspec raises the latter two
            refused = Refused(device, received_us, str(error), payload)
            self.roster.refuse(refused, _wrong_with(error, device, kind))
            return not isinstance(error, CrowdedError) or len(self.batch.refused) > n_refused
        return True

    def parts(
        self, mapper: Mapper, topic: str, payload: bytes, received_us: int, *, retained: bool = False
    ) -> Iterator[None]:
        """Take one message of a mapper's topic, a part each step; raises what `receive` does."""
        if retained and not mapper.config.recording:
            self.counters.retained += 1  # an old chunk must not look like a live patient
            return
        device, is_admitted = mapper.device_of(topic), False
        try:
            if device is not None:
                is_admitted = self.roster.admits(device, payload, received_us)
                if not is_admitted:
                    return
            for chunks in mapper.parts(topic, payload, received_us):
                for chunk in chunks:
                    if not is_admitted and not self.roster.admits(chunk.device, payload, received_us):
                        return
                    is_admitted = True
                    self._take_mapped(chunk, received_us)
                yield
        except (WireError, ValueError) as error:
            whose = error.device if isinstance(error, MappingError) else device
            wrong = "crowded" if isinstance(error, CrowdedError) else "mapping"
            reason = str(error) if whose else f"on {topic!r}: {error}"  # else nobody knows whose it was
            self.roster.refuse(Refused(whose or UNKNOWN_DEVICE, received_us, reason, payload), wrong)

    def contradict(self, chunks: Iterable[ReceivedChunk]) -> None:
        """These claim places where the store holds other samples: they are refused."""
        for each in chunks:
            chunk = each.chunk
            reason = (
                f"samples {chunk.first_sample} to {chunk.end_sample - 1} of session {chunk.session:08x} "
                "differ from those stored: the device must change `sess` when its index begins again or wraps"
            )
            self.roster.refuse(Refused(chunk.device, each.received_us, reason, each.payload), "contradiction")

    def restore(
        self,
        device: str,
        chunks: Sequence[ReceivedChunk],
        now_us: int,
        next_window: NextWindow | None,
    ) -> None:
        """Bring one device to where it was: replay its stored chunks; windows not stored yet are found again.

        `next_window` is the one after its newest stored one. A device silent for 10 minutes is not kept, but
        none of its windows is left out.
        """
        heard_us = chunks[-1].received_us
        state, pipeline = self.roster.welcome(device, heard_us), self.new_pipeline(device)
        arrivals = [(each.chunk, each.received_us) for each in chunks]
        try:
            windows = pipeline.replay(arrivals, next_window, now_us - IDLE_US)
        except Exception as error:  # noqa: BLE001 - one device's stored past must not keep the others down
            self._note_fault(device, state, error)
            return
        state.pipeline = pipeline
        self._add_windows(pipeline, windows, now_us)
        if now_us - heard_us > IDLE_US:
            self._advance(device, state, now_us, is_last=True)
            del self.roster.devices[device]

    def tick(self, now_us: int) -> None:
        """Let time pass for all devices: overdue gaps close; the long silent are forgotten."""
        for device, state, is_silent in self.roster.pass_time(now_us):
            self._advance(device, state, now_us, is_last=is_silent)
            if is_silent:
                self.latest.pop(device, None)

    def vitals(self, now_us: int, devices: Iterable[str] | None = None) -> list[Vitals]:
        """The state of each of `devices` (None: all) that has one, with what only the intake knows of it."""
        known = self.roster.devices
        names = known if devices is None else devices
        asked = [(each, state) for each in names if (state := known.get(each)) is not None]
        pipelines = [state.pipeline for _, state in asked if state.pipeline is not None]
        advance_together([each.monitor for each in pipelines if each.monitor is not None])
        found = []
        for device, state in asked:
            vitals = self._vitals_of(device, state, now_us)
            if vitals is None:
                self.latest.pop(device, None)
                continue
            found.append(vitals)
            if vitals.doubts:
                self._say_doubts(vitals)
            self.latest[device] = vitals
        return found

    def _vitals_of(self, device: str, state: KnownDevice, now_us: int) -> Vitals | None:
        if state.pipeline is None:
            return None
        try:
            return state.pipeline.vitals(now_us, battery=state.battery, refused=state.refused)
        except Exception as error:  # noqa: BLE001 - one device's fault must not stop the others
            self._note_fault(device, state, error)
            return None

    def _say_doubts(self, vitals: Vitals) -> None:
        before = self.latest.get(vitals.device)
        for doubt in vitals.doubts:
            if before is None or doubt not in before.doubts:
                logger.warning("%s: %s", vitals.device, doubt)

    def _advance(self, device: str, state: KnownDevice, now_us: int, *, is_last: bool) -> None:
        """Let time pass for one device; the last time, what is in no window yet is to be cut late."""
        if state.pipeline is None:
            return
        try:
            windows = state.pipeline.finish(now_us) if is_last else state.pipeline.tick(now_us)
        except Exception as error:  # noqa: BLE001 - one device's fault must not stop the others
            self._note_fault(device, state, error)
        else:
            self._add_windows(state.pipeline, windows, now_us)

    def _take_chunk(self, device: str, payload: bytes, received_us: int, *, is_backfill: bool) -> None:
        chunk = decode(payload, device)
        if is_backfill:
            chunk = replace(chunk, flags=chunk.flags | ChunkFlag.HISTORIC)
        self._keep_chunk(chunk, payload, received_us)

    def _take_mapped(self, chunk: Chunk, received_us: int) -> None:
        payload = encode_exactly(chunk)
        self._keep_chunk(chunk, payload, received_us)
        self.counters.mapped += 1
        if self.on_mapped is not None and ChunkFlag.HISTORIC not in chunk.flags:
            self.on_mapped(chunk.device, payload)

    def _keep_chunk(self, chunk: Chunk, payload: bytes, received_us: int) -> None:
        """A good chunk and its wire v1 bytes -> the batch and its device's pipeline."""
        device = chunk.device
        state = self.roster.welcome(device, received_us)
        batch, n_bytes = self.batch, len(payload)
        state.limits.charge_signal(len(chunk.samples_mv) / chunk.fs, n_bytes)
        self.counters.chunks += 1
        batch.chunks.append(ReceivedChunk(chunk, payload, received_us))
        batch.n_bytes += n_bytes
        if state.pipeline is None:
            state.pipeline = self.new_pipeline(device)
        try:
            windows = state.pipeline.push(chunk, received_us)
        except Exception as error:  # noqa: BLE001 - one device's fault must not stop the others
            self._note_fault(device, state, error)
        else:
            self._add_windows(state.pipeline, windows, received_us)

    def _add_windows(self, pipeline: DevicePipeline, windows: Iterable[Window], now_us: int) -> None:
        late = pipeline.take_late()
        if late:
            self.batch.rework.late += late
        for window in windows:
            self.counters.windows += 1
            self.batch.windows.append(replace(window, closed_us=now_us))

    def _note_status(self, device: str, payload: bytes, received_us: int) -> None:
        if self.roster.admits_status(device, received_us) and payload:  # an empty one clears what was kept
            self.roster.known(device, received_us).battery = _decode_status(payload).battery

    def _keep_refused(self, refused: Refused) -> None:
        self.batch.refused.append(refused)
        self.batch.n_bytes += len(refused.payload)

    def _note_fault(self, device: str, state: KnownDevice, error: Exception) -> None:
        """The device starts anew with its next chunk."""
        state.pipeline = None
        state.faults += 1
        self.counters.faults += 1
        if str(state.faults).strip("0") == "1":
            text = "%s: its pipeline failed (%d times) and starts anew"
            logger.error(text, device, state.faults, exc_info=error)


def _wrong_with(error: Exception, device: str, kind: str) -> str:
    """What was wrong with a refused message, in one word for counting."""
    if isinstance(error, CrowdedError):
        return "crowded"
    if device == UNKNOWN_DEVICE:
        return "topic"
    return "status" if kind == "status" else "payload"
