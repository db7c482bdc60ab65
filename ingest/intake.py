"""Messages of all devices -> a batch to store; each device has its own pipeline, none can harm another."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import msgspec

from ingest.batch import Batch
from ingest.chunk import ChunkFlag
from ingest.pipeline import DevicePipeline
from ingest.store.rows import ReceivedChunk, Refused
from ingest.topics import device_of
from ingest.vitals import Vitals
from ingest.window import NextWindow, Window
from ingest.wire import WireError, decode

IDLE_US = 600_000_000  # a device silent for 10 minutes is forgotten; its next chunk starts anew
UNKNOWN_DEVICE = "?"  # for topics that name none; no device can be called so

logger = logging.getLogger(__name__)


class _Status(msgspec.Struct):
    """What a device says about itself (wire.md); the rest of it is not ours."""

    battery: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None


_decode_status = msgspec.json.Decoder(_Status).decode


@dataclass(slots=True)
class _Device:
    """What is remembered of one device."""

    heard_us: int
    pipeline: DevicePipeline | None = None
    battery: int | None = None
    refused: int = 0
    faults: int = 0  # times its pipeline failed


@dataclass(slots=True)
class IntakeCounters:
    """Since this process started."""

    chunks: int = 0
    refused: int = 0
    windows: int = 0
    retained: int = 0  # chunks that a device wrongly asked the broker to keep; ignored
    faults: int = 0


@dataclass(slots=True)
class Intake:
    """All devices. `receive`, `tick` and `vitals` fill `batch`, which the owner takes with `take`."""

    new_pipeline: Callable[[str], DevicePipeline]
    batch: Batch = field(default_factory=Batch)
    counters: IntakeCounters = field(default_factory=IntakeCounters)
    latest: dict[str, Vitals] = field(default_factory=dict)
    _devices: dict[str, _Device] = field(default_factory=dict)

    @property
    def n_devices(self) -> int:
        """Devices heard within the last 10 minutes."""
        return len(self._devices)

    def take(self) -> Batch:
        """The batch so far; a new one begins."""
        batch, self.batch = self.batch, Batch()
        return batch

    def receive(self, topic: str, payload: bytes, received_us: int, *, retained: bool = False) -> None:
        """Take one message; whatever is malformed is refused, counted and kept for inspection."""
        device, kind = UNKNOWN_DEVICE, topic.rpartition("/")[2]
        try:
            device = device_of(topic)
            if kind == "status":
                self._note_status(device, payload, received_us)
            elif retained:
                self.counters.retained += 1  # an old chunk must not look like a live patient
            else:
                self._take_chunk(device, payload, received_us, is_backfill=kind == "backfill")
        except (WireError, ValueError) as error:  # msgspec's errors are ValueErrors too
            self._refuse(Refused(device, received_us, str(error), payload))

    def restore(
        self,
        device: str,
        chunks: Sequence[ReceivedChunk],
        now_us: int,
        next_window: NextWindow | None,
    ) -> None:
        """Bring one device to where it was: replay its stored chunks; windows not stored yet are found again.

        `next_window` is the one after its newest stored one.
        """
        heard_us = chunks[-1].received_us
        state, pipeline = self._device(device, heard_us), self.new_pipeline(device)
        arrivals = [(each.chunk, each.received_us) for each in chunks]
        try:
            windows = pipeline.replay(arrivals, next_window)
        except Exception as error:  # noqa: BLE001 - one device's stored past must not keep the others down
            self._note_fault(device, state, error)
            return
        state.pipeline = pipeline
        self._add_windows(pipeline, windows, now_us)

    def tick(self, now_us: int) -> None:
        """Let time pass for all devices: overdue gaps close; the long silent are forgotten."""
        for device, state in list(self._devices.items()):
            if now_us - state.heard_us > IDLE_US:
                del self._devices[device]
                self.latest.pop(device, None)
            elif state.pipeline is not None:
                try:
                    windows = state.pipeline.tick(now_us)
                except Exception as error:  # noqa: BLE001 - one device's fault must not stop the others
                    self._note_fault(device, state, error)
                else:
                    self._add_windows(state.pipeline, windows, now_us)

    def vitals(self, now_us: int) -> list[Vitals]:
        """The state of every device that has one, with what only the intake knows of it."""
        found = []
        for device, state in self._devices.items():
            if state.pipeline is None:
                continue
            try:
                vitals = state.pipeline.vitals(now_us)
            except Exception as error:  # noqa: BLE001 - one device's fault must not stop the others
                self._note_fault(device, state, error)
                continue
            if vitals is not None:
                found.append(replace(vitals, battery=state.battery, refused=state.refused))
        self.latest = {each.device: each for each in found}
        return found

    def _take_chunk(self, device: str, payload: bytes, received_us: int, *, is_backfill: bool) -> None:
        chunk = decode(payload, device)
        if is_backfill:
            chunk = replace(chunk, flags=chunk.flags | ChunkFlag.HISTORIC)
        self.counters.chunks += 1
        self.batch.chunks.append(ReceivedChunk(chunk, payload, received_us))
        self.batch.n_bytes += len(payload)
        state = self._device(device, received_us)
        if state.pipeline is None:
            state.pipeline = self.new_pipeline(device)
        try:
            windows = state.pipeline.push(chunk, received_us)
        except Exception as error:  # noqa: BLE001 - one device's fault must not stop the others
            self._note_fault(device, state, error)
        else:
            self._add_windows(state.pipeline, windows, received_us)

    def _add_windows(self, pipeline: DevicePipeline, windows: Iterable[Window], now_us: int) -> None:
        self.batch.rework.late += pipeline.take_late()
        for window in windows:
            self.counters.windows += 1
            self.batch.windows.append(replace(window, closed_us=now_us))

    def _note_status(self, device: str, payload: bytes, received_us: int) -> None:
        if payload:  # an empty one clears what the broker kept
            self._device(device, received_us).battery = _decode_status(payload).battery

    def _refuse(self, refused: Refused) -> None:
        self.counters.refused += 1
        self.batch.refused.append(refused)
        self.batch.n_bytes += len(refused.payload)
        state = self._device(refused.device, refused.received_us)
        state.refused += 1
        if str(state.refused).strip("0") == "1":  # 1, 10, 100, ...: a flood must not fill the log
            logger.warning("%s: payload %d refused: %s", refused.device, state.refused, refused.reason)

    def _note_fault(self, device: str, state: _Device, error: Exception) -> None:
        """The device starts anew with its next chunk."""
        state.pipeline = None
        state.faults += 1
        self.counters.faults += 1
        if str(state.faults).strip("0") == "1":
            text = "%s: its pipeline failed (%d times) and starts anew"
            logger.error(text, device, state.faults, exc_info=error)

    def _device(self, device: str, heard_us: int) -> _Device:
        state = self._devices.setdefault(device, _Device(heard_us))
        state.heard_us = max(state.heard_us, heard_us)
        return state
