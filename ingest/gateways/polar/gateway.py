"""Strap -> clock -> buffer -> broker, for as long as it runs; joins the stages to radio, file and time."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from ingest.chunk import NO_FLAGS, Chunk, ChunkFlag, Lead
from ingest.gateways.polar.buffer import Buffer, StorageError
from ingest.gateways.polar.clock import NOMINAL_HZ, Placed, StrapClock, StrapState
from ingest.gateways.polar.decoder import Frame
from ingest.gateways.polar.outbox import Outbox
from ingest.gateways.polar.strap import Radio, Strap, StrapError, Told
from ingest.gateways.polar.uplink import Uplink
from ingest.mappers.exact import encode_exactly
from ingest.publisher import Address

TEND_EVERY_S = 0.05
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
FAREWELL_S = 5.0  # for the last acknowledgements
UNSAVED = 2_000  # chunks kept in memory while the file cannot be written: 18 minutes
LOG_EVERY_S = 60.0

logger = logging.getLogger(__name__)


class Gateway:
    """One strap as one device. `wanted` is its address or name, None any Polar that is near."""

    def __init__(  # noqa: PLR0913 - each is one independent part that a test replaces
        self,
        device: str,
        address: Address,
        buffer: Buffer,
        radio: Radio,
        *,
        wanted: str | None,
        new_session: Callable[[], int],
        wall_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        self.unsaved_dropped = 0
        self._device = device
        self._buffer = buffer
        self._radio = radio
        self._wanted = wanted
        self._wall_us = wall_us
        self._first_retry_s = first_retry_s
        saved = buffer.state()
        state = None if saved is None else msgspec.msgpack.decode(saved, type=StrapState)
        self._clock = StrapClock(new_session, state)
        self._outbox = Outbox(buffer)
        self._uplink = Uplink(device, address, self._outbox, wall_us)
        self._told = Told()
        self._is_streaming = False
        self._unsaved: deque[bytes] = deque(maxlen=UNSAVED)
        self._trouble = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the strap until `stop`; then stop its stream, send what there is and say goodbye."""
        self._say_meta()
        self._say_status()
        tending = asyncio.create_task(self._tend())
        tending.add_done_callback(lambda _: stop.set())  # it ends by a fault alone, which is raised below
        try:
            await self._follow(stop)
            self._keep(self._clock.flush())
            await self._finish()
            if tending.done():
                tending.result()
        finally:
            tending.cancel()
            self._uplink.close(self._status())
            self._buffer.close()
            logger.info("ended: %s", self.counters())

    def counters(self) -> dict[str, int | float | None]:
        """What happened since the buffer was made, and what waits."""
        state = self._clock.state
        return {
            "acknowledged": self._outbox.acknowledged,
            "waiting": self._outbox.waiting + len(self._unsaved),
            "dropped": self._buffer.dropped + self.unsaved_dropped,
            "duplicates": state.duplicates,
            "gaps": state.gaps,
            "lost_samples": state.lost_samples,
            "sessions": state.sessions,
            "fs": state.rate_hz,
        }

    async def _follow(self, stop: asyncio.Event) -> None:
        """Connect again and again; a strap that is out of range is looked for for ever."""
        retry_s, before = self._first_retry_s, ""
        while not stop.is_set():
            frames, reason = await self._stream_once(stop)
            retry_s = self._first_retry_s if frames else min(2 * retry_s, LONGEST_RETRY_S)
            if stop.is_set():
                return
            if frames or reason != before:  # each reason once, while it lasts
                logger.warning("no strap: %s; trying again for ever", reason)
            before = reason
            await _wait(stop, retry_s)

    async def _stream_once(self, stop: asyncio.Event) -> tuple[int, str]:
        """One connection from search to end: frames heard, and why it ended."""
        strap = None
        try:
            found = await self._find(stop)
            if found is None:
                return 0, f"{self._wanted or 'no Polar strap'} is not in range, not worn, or in use elsewhere"
            self._keep(self._clock.wear(self._radio.address(found)))
            strap = Strap(self._radio, found, self._hear)
            await strap.stream(stop)
        except StrapError as error:
            return strap.frames if strap is not None else 0, str(error)
        finally:
            self._is_streaming = False
            self._say_status()
        return strap.frames, "stopped"

    async def _find(self, stop: asyncio.Event) -> Any | None:
        """A search that `stop` ends."""
        search = asyncio.ensure_future(self._radio.find(self._wanted))
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait([search, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if search.done():
            return search.result()
        search.cancel()
        return None

    def _hear(self, event: Frame | Told) -> None:
        if isinstance(event, Told):
            news = {name: each for name, each in _facts(event).items() if each is not None}
            self._told = replace(self._told, **news)
            self._say_meta()
        else:
            if not self._is_streaming:
                logger.info("streaming as %s", self._device)
            self._is_streaming = True
            self._keep(self._clock.push(event, self._wall_us()))
        self._say_status()

    def _keep(self, placed: list[Placed]) -> None:
        """To the file first; from there to the broker."""
        self.unsaved_dropped += max(0, len(self._unsaved) + len(placed) - UNSAVED)
        self._unsaved.extend(encode_exactly(self._chunk(each)) for each in placed)
        try:
            state = msgspec.msgpack.encode(self._clock.state)
            kept = self._buffer.add(list(self._unsaved), self._wall_us(), state)
        except StorageError as error:
            self._note(str(error))
            return
        self._unsaved.clear()
        for each in kept:
            self._outbox.add(each)

    def _chunk(self, placed: Placed) -> Chunk:
        samples_uv = np.frombuffer(placed.samples, np.int32)
        flags = ChunkFlag.GAP_BEFORE if placed.is_after_gap else NO_FLAGS
        if self._told.has_contact is False:
            flags |= ChunkFlag.LEAD_OFF
        return Chunk(
            device=self._device,
            session=placed.session,
            seq=placed.seq,
            first_sample=placed.first_sample,
            wall_time_us=placed.wall_time_us,
            device_ns=placed.first_ns,
            fs=placed.fs,
            leads=(Lead.CHEST,),
            samples_mv=(samples_uv.astype(np.float32) * np.float32(1e-3))[:, None],
            flags=flags,
        )

    async def _tend(self) -> None:
        log_s = time.monotonic() + LOG_EVERY_S
        while True:
            try:
                self._uplink.tend(time.monotonic())
            except StorageError as error:
                self._note(str(error))
                self._uplink.start_anew(time.monotonic())
            if time.monotonic() >= log_s:
                log_s = time.monotonic() + LOG_EVERY_S
                logger.info("%s", self.counters())
            await asyncio.sleep(TEND_EVERY_S)

    async def _finish(self) -> None:
        """Wait a little for the last acknowledgements; what is left stays in the file."""
        for _ in range(round(FAREWELL_S / TEND_EVERY_S)):
            if self._outbox.is_done and self._uplink.is_up:
                self._forget_acknowledged()
            if self._outbox.is_done or not self._uplink.is_up:
                return
            await asyncio.sleep(TEND_EVERY_S)

    def _forget_acknowledged(self) -> None:
        try:
            self._outbox.forget_acknowledged()
        except StorageError as error:
            self._note(str(error))

    def _say_meta(self) -> None:
        meta = {
            "model": self._told.model or "Polar strap",
            "firmware": self._told.firmware,
            "lead": "chest",
            "unit": "uV",
            "fs": self._clock.state.rate_hz or NOMINAL_HZ,
        }
        self._uplink.say("meta", msgspec.json.encode({k: v for k, v in meta.items() if v is not None}))

    def _say_status(self) -> None:
        self._uplink.say("status", self._status(is_online=self._is_streaming))

    def _status(self, *, is_online: bool = False) -> bytes:
        battery = {} if self._told.battery is None else {"battery": self._told.battery}
        return msgspec.json.encode({"online": is_online, **battery})

    def _note(self, trouble: str) -> None:
        """Each trouble once."""
        if trouble != self._trouble:
            self._trouble = trouble
            logger.error("%s", trouble)


def _facts(told: Told) -> dict[str, Any]:
    return {name: getattr(told, name) for name in Told.__dataclass_fields__}


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
