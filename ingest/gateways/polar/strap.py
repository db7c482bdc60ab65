"""A connected strap -> events: frames, battery, contact. The conversation with it, and how it is ended.

`Client` and `Radio` are what is used of bleak; `radio.py` alone imports it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ingest.gateways.polar.decoder import (
    ALREADY_IN_STATE,
    BATTERY,
    CONTROL,
    DATA,
    FIRMWARE,
    GET_SETTINGS,
    HEART_RATE,
    MODEL,
    RATE,
    REPLY,
    RESOLUTION,
    SETTINGS_COMMAND,
    START,
    STOP,
    STOP_COMMAND,
    SUCCESS,
    Frame,
    FrameError,
    Reply,
    decode_battery,
    decode_contact,
    decode_frame,
    decode_reply,
    decode_settings,
    start_command,
)

REPLY_WITHIN_S = 5.0
SILENT_S = 8.0  # frames come each 0.56 s; a connection without any for so long is dead
STOP_WITHIN_S = 3.0
FALLBACK_HZ, FALLBACK_BITS = 130, 14

logger = logging.getLogger(__name__)


class StrapError(RuntimeError):
    """The strap does not do what was asked, or is gone; the message says what happened."""


class Client(Protocol):
    """What is used of `bleak.BleakClient`."""

    async def connect(self) -> None:
        """Connect, and learn what it offers."""

    async def disconnect(self) -> None:
        """End the connection."""

    async def start_notify(self, char_specifier: str, callback: Callable[[Any, bytearray], None]) -> None:
        """Call back with (characteristic, data) at each notification or indication."""

    async def write_gatt_char(
        self, char_specifier: str, data: bytes, *, response: bool | None = None
    ) -> None:
        """Write; with `response` wait until the strap has it."""

    async def read_gatt_char(self, char_specifier: str) -> bytearray:
        """Read."""
        raise NotImplementedError


class Radio(Protocol):
    """What is used of Bluetooth: find a strap, and connect to it. Both raise StrapError."""

    async def find(self, wanted: str | None) -> Any | None:
        """A strap with this address or name (None: any Polar), or None when none is near."""
        raise NotImplementedError

    def address(self, strap: Any) -> str:
        """Its address, or what the system shows in its place."""
        raise NotImplementedError

    def client(self, strap: Any, on_gone: Callable[[], None]) -> Client:
        """A connection that is yet to be made."""
        raise NotImplementedError

    def failures(self) -> tuple[type[Exception], ...]:
        """What its calls raise."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Told:
    """What a strap says beside its samples; None is not told."""

    battery: int | None = None
    has_contact: bool | None = None
    model: str | None = None
    firmware: str | None = None


Hear = Callable[[Frame | Told], None]


class Strap:
    """One connection with one strap, from `stream` to its end. `hear` is told all that comes."""

    def __init__(self, radio: Radio, strap: Any, hear: Hear) -> None:
        self.refused = 0  # notifications that could not be understood
        self.frames = 0
        self._hear = hear
        self._replies: asyncio.Queue[Reply] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._fresh = asyncio.Event()
        self._client = radio.client(strap, self._gone.set)
        self._failures = radio.failures()
        self._breaks: tuple[type[Exception], ...] = (*self._failures, TimeoutError, OSError)
        self._untold: tuple[type[Exception], ...] = (*self._failures, FrameError)

    async def stream(self, stop: asyncio.Event) -> None:
        """Connect, start the ECG, hear it until `stop`, stop it. Raises StrapError when it is gone."""
        try:
            await self._client.connect()
            await self._introduce()
            await self._start()
            await self._listen(stop)
        except self._breaks as error:
            raise StrapError(str(error) or type(error).__name__) from None
        finally:
            await self._end()

    async def _introduce(self) -> None:
        """What many straps tell and none must."""
        facts: dict[str, Any] = {}
        for name, characteristic in (("model", MODEL), ("firmware", FIRMWARE)):
            with contextlib.suppress(*self._failures):
                text = bytes(await self._client.read_gatt_char(characteristic)).decode("utf-8", "replace")
                facts[name] = text.strip("\0 ")[:64]
        with contextlib.suppress(*self._untold):
            facts["battery"] = decode_battery(bytes(await self._client.read_gatt_char(BATTERY)))
        self._hear(Told(**facts))
        for characteristic, callback in ((BATTERY, self._on_battery), (HEART_RATE, self._on_heart_rate)):
            with contextlib.suppress(*self._failures):
                await self._client.start_notify(characteristic, callback)

    async def _start(self) -> None:
        await self._client.start_notify(CONTROL, self._on_control)
        settings = decode_settings((await self._ask(SETTINGS_COMMAND, GET_SETTINGS)).parameters)
        rates, bits = settings.get(RATE, ()), settings.get(RESOLUTION, ())
        command = start_command(min(rates, default=FALLBACK_HZ), max(bits, default=FALLBACK_BITS))
        await self._client.start_notify(DATA, self._on_data)
        try:
            await self._ask(command, START)
        except _RefusedError as refused:
            if refused.error != ALREADY_IN_STATE:
                raise
            await self._ask(STOP_COMMAND, STOP)  # a stream that a killed gateway left running
            await self._ask(command, START)

    async def _ask(self, command: bytes, opcode: int) -> Reply:
        while not self._replies.empty():
            self._replies.get_nowait()
        await self._client.write_gatt_char(CONTROL, command, response=True)
        reply = await asyncio.wait_for(self._replies.get(), REPLY_WITHIN_S)
        if (reply.command, reply.error) != (opcode, SUCCESS):
            raise _RefusedError(f"the strap refuses command {command.hex()}: {reply.refusal}", reply.error)
        return reply

    async def _listen(self, stop: asyncio.Event) -> None:
        watched = [asyncio.ensure_future(each.wait()) for each in (stop, self._gone)]
        try:
            while not stop.is_set():
                self._fresh.clear()
                fresh = asyncio.ensure_future(self._fresh.wait())
                done, _ = await asyncio.wait(
                    [*watched, fresh], timeout=SILENT_S, return_when=asyncio.FIRST_COMPLETED
                )
                fresh.cancel()
                if self._gone.is_set():
                    raise StrapError("the connection is lost")
                if not done:
                    raise StrapError(f"connected, but silent for {SILENT_S:g} s")
        finally:
            for each in watched:
                each.cancel()

    async def _end(self) -> None:
        """Stop the stream: else the strap goes on until its battery is empty."""
        try:
            if not self._gone.is_set():
                stopping = self._client.write_gatt_char(CONTROL, STOP_COMMAND, response=True)
                await asyncio.wait_for(stopping, STOP_WITHIN_S)
        except self._breaks as error:
            logger.debug("the stream could not be stopped: %s", error)
        try:
            await asyncio.wait_for(self._client.disconnect(), STOP_WITHIN_S)
        except self._breaks as error:
            logger.debug("no goodbye: %s", error)

    def _on_data(self, _characteristic: Any, data: bytearray) -> None:
        with self._counting():
            frame = decode_frame(bytes(data))
            self.frames += 1
            self._fresh.set()
            self._hear(frame)

    def _on_control(self, _characteristic: Any, data: bytearray) -> None:
        if data[:1] != bytes((REPLY,)):
            return  # which measurements it has, and that a stream ended
        with self._counting():
            self._replies.put_nowait(decode_reply(bytes(data)))

    def _on_battery(self, _characteristic: Any, data: bytearray) -> None:
        with self._counting():
            self._hear(Told(battery=decode_battery(bytes(data))))

    def _on_heart_rate(self, _characteristic: Any, data: bytearray) -> None:
        with self._counting():
            self._hear(Told(has_contact=decode_contact(bytes(data))))

    @contextlib.contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
        except FrameError as error:
            self.refused += 1
            logger.debug("refused a notification: %s", error)


class _RefusedError(StrapError):
    """The strap answered a command with an error."""

    def __init__(self, message: str, error: int) -> None:
        super().__init__(message)
        self.error = error
