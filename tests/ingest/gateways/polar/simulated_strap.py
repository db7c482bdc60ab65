"""A SIMULATED strap: what is used of bleak's client, over a heart of numbers that say which sample they are.

No radio was at hand. The frames are laid out byte by byte from the published format, not by the decoder.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest.gateways.polar.decoder import BATTERY, CONTROL, DATA, FIRMWARE, HEART_RATE, MODEL
from ingest.gateways.polar.strap import Client

N = 73
ROUND = 60_000  # sample i reads (i mod ROUND) - 30,000 uV
BEGAN_NS = 838_432_586_543_515_816  # the strap's clock at sample 0; July 2026
BEGAN_US = 946_684_800_000_000 + BEGAN_NS // 1000


class SimulatedError(Exception):
    """As bleak's own error."""


def frame_bytes(last_ns: int, samples_uv: list[int]) -> bytes:
    """One ECG notification, from the published layout."""
    body = b"".join(each.to_bytes(3, "little", signed=True) for each in samples_uv)
    return b"\x00" + last_ns.to_bytes(8, "little") + b"\x00" + body


def value_uv(sample: int) -> int:
    return sample % ROUND - ROUND // 2


@dataclass
class Happening:
    """At frame `at`: lost in the air, sent twice, the strap out of range, its clock set, its skin dry ..."""

    kind: str
    at: int
    amount: float = 0.0


@dataclass
class SimulatedStrap:
    """A Radio with one strap. Its time is its own: `now_us` moves a frame at a time, `pace_s` in ours."""

    fs: float = 129.37
    pace_s: float = 0.002
    happenings: list[Happening] = field(default_factory=list)
    end: int = 100  # frames; then it is silent
    on_frame: Callable[[int], None] = lambda _k: None
    name: str = "AA:BB"
    battery: int = 81
    refusals: list[int] = field(default_factory=list)  # error codes for coming START commands

    def __post_init__(self) -> None:
        self.frame = 0
        self.set_ns = 0
        self.heard: list[int] = []  # frames whose notification reached the gateway
        self.commands: list[bytes] = []
        self.is_running = False
        self.back_at_frame = 0
        self.searches = 0
        self.searched_often = asyncio.Event()
        self.delay_us = 0

    @property
    def now_us(self) -> int:
        """Ours, at the end of the newest frame; the gateway's clock."""
        return BEGAN_US + round(self.frame * N / self.fs * 1e6) + self.delay_us

    def stamp_ns(self, frame: int) -> int:
        return BEGAN_NS + self.set_ns + round(((frame + 1) * N - 1) / self.fs * 1e9)

    async def find(self, wanted: str | None) -> str | None:
        assert wanted in (None, self.name)
        self.searches += 1
        if self.searches == 4:
            self.searched_often.set()
        await asyncio.sleep(self.pace_s)
        if self.frame < self.back_at_frame:
            self.frame = min(self.frame + 20, self.back_at_frame)  # time passes, and nobody listens
            return None
        return self.name

    def address(self, strap: str) -> str:
        return strap

    def client(self, strap: str, on_gone: Callable[[], None]) -> Client:
        assert strap == self.name
        return SimulatedClient(self, on_gone)

    def failures(self) -> tuple[type[Exception], ...]:
        return (SimulatedError,)

    def happens(self, frame: int) -> Iterator[Happening]:
        return (each for each in self.happenings if each.at == frame)


class SimulatedClient:
    """What is used of `bleak.BleakClient`."""

    def __init__(self, strap: SimulatedStrap, on_gone: Callable[[], None]) -> None:
        self.strap = strap
        self.on_gone = on_gone
        self.callbacks: dict[str, Callable[[Any, bytearray], None]] = {}
        self.sending: asyncio.Task[None] | None = None
        self.is_connected = False

    async def connect(self) -> None:
        self.is_connected = True

    async def disconnect(self) -> None:
        self.is_connected = False
        if self.sending is not None:
            self.sending.cancel()

    async def start_notify(self, char_specifier: str, callback: Callable[[Any, bytearray], None]) -> None:
        self._must_be_connected()
        self.callbacks[char_specifier] = callback

    async def read_gatt_char(self, char_specifier: str) -> bytearray:
        self._must_be_connected()
        known = {MODEL: b"H10\0", FIRMWARE: b"5.0.0", BATTERY: bytes((self.strap.battery,))}
        return bytearray(known[char_specifier])

    async def write_gatt_char(
        self, char_specifier: str, data: bytes, *, response: bool | None = None
    ) -> None:
        self._must_be_connected()
        assert (char_specifier, response) == (CONTROL, True)
        self.strap.commands.append(data)
        answer = bytes((0xF0, data[0], data[1], self._obey(data), 0))
        if data[0] == 1:
            answer += bytes.fromhex("00018200 01010e00")
        asyncio.get_running_loop().call_soon(self.callbacks[CONTROL], None, bytearray(answer))

    def _obey(self, command: bytes) -> int:
        if command[0] == 2:
            if self.strap.refusals:
                return self.strap.refusals.pop(0)
            if self.strap.is_running:
                return 6
            self.strap.is_running = True
            self.sending = asyncio.create_task(self._send())
        elif command[0] == 3:
            self.strap.is_running = False
            if self.sending is not None:
                self.sending.cancel()
        return 0

    async def _send(self) -> None:
        strap = self.strap
        while strap.frame < strap.end:
            await asyncio.sleep(strap.pace_s)
            kinds = {each.kind: each.amount for each in strap.happens(strap.frame)}
            strap.set_ns += round(kinds.get("clock", 0.0) * 1e9)
            if "range" in kinds:
                strap.back_at_frame = strap.frame + round(kinds["range"])
                strap.frame += 1
                strap.is_running = self.is_connected = False
                self.on_gone()
                return
            if "contact" in kinds:
                self.callbacks[HEART_RATE](None, bytearray((0x04 | 2 * round(kinds["contact"]), 70)))
            if "garbage" in kinds:
                self.callbacks[DATA](None, bytearray(b"\x02garbage"))
            frame, strap.frame = strap.frame, strap.frame + 1
            samples = [value_uv(frame * N + k) for k in range(N)]
            for _ in range(0 if "lost" in kinds else 2 if "twice" in kinds else 1):
                self.callbacks[DATA](None, bytearray(frame_bytes(strap.stamp_ns(frame), samples)))
            if "lost" not in kinds:
                strap.heard.append(frame)
            strap.on_frame(frame)

    def _must_be_connected(self) -> None:
        if not self.is_connected:
            raise SimulatedError("not connected")
