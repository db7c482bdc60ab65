"""What goes wrong between a device's sensor and the broker: messages to be sent -> messages that are sent.

Nothing here touches a network. Each fault has its own rate, each decision comes from one seeded generator,
and what is not hit by a fault passes unchanged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

import numpy as np
from msgspec import structs
from numpy.random import Generator

from ingest.chunk import Chunk, ChunkFlag, Lead

MAX_SPELL_S = 86_400.0


class Kind(StrEnum):
    """What a message is, for the published log."""

    CHUNK = "chunk"
    DUPLICATE = "duplicate"  # sent a second time by a fault
    CORRUPT = "corrupt"  # spoilt by a fault: no receiver can read it
    NOTICE = "notice"  # meta and status


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One MQTT publication, and for a chunk what it carries."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    kind: Kind = Kind.NOTICE
    device: str = ""
    session: int = 0
    first_sample: int = 0
    n_samples: int = 0


@dataclass(frozen=True, slots=True)
class Spell:
    """A trouble that lasts `for_s` seconds in the middle of each `every_s` seconds."""

    for_s: float
    every_s: float

    def is_on(self, since_start_s: float) -> bool:
        """True while the trouble lasts."""
        middle_s = self.every_s / 2
        return middle_s <= since_start_s % self.every_s < middle_s + self.for_s


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Which faults, and how often: rates are shares of all chunks."""

    drop: float = 0.0  # never sent
    duplicate: float = 0.0  # sent twice
    reorder: float = 0.0  # sent after the following chunk
    corrupt: float = 0.0  # cut short or overwritten with noise
    clock: float = 0.0  # seconds by which the device's clock is late
    lead_off: Spell | None = None
    disconnect: Spell | None = None
    inverted: bool = False  # the electrodes are swapped: the lead is upside down
    untold: bool = False  # the device does not say which lead it sends


NO_FAULTS = FaultPlan()
SWITCHES = ("inverted", "untold")  # faults without a rate: they are there all the time


def parse_faults(specs: Sequence[str]) -> FaultPlan:
    """`["drop=0.02", "disconnect=6/60", "inverted"]` -> a plan; raises ValueError naming what is wrong."""
    values: dict[str, Any] = {}
    names = [field.name for field in fields(FaultPlan)]
    for spec in specs:
        name, equals, text = spec.partition("=")
        name = name.replace("-", "_")
        if name not in names:
            raise ValueError(
                f"unknown fault {spec!r}: want one of {', '.join(names)} as name=value, "
                f"or {' or '.join(SWITCHES)} alone"
            )
        if name in SWITCHES:
            if equals:
                raise ValueError(f"fault {spec!r}: want {name} without a value")
            values[name] = True
        elif name in ("lead_off", "disconnect"):
            values[name] = _spell(spec, text)
        elif name == "clock":
            values[name] = _number(spec, text, -MAX_SPELL_S, MAX_SPELL_S)
        else:
            values[name] = _number(spec, text, 0.0, 1.0)
    return FaultPlan(**values)


def faulty_chunk(chunk: Chunk, plan: FaultPlan, since_start_s: float) -> Chunk:
    """The chunk as the device's sensor and clock give it: late clock, swapped electrodes, lead off."""
    if plan.clock:
        late_us = round(plan.clock * 1e6)
        chunk = structs.replace(chunk, wall_time_us=max(0, chunk.wall_time_us - late_us))
    if plan.inverted:
        chunk = structs.replace(chunk, samples_mv=-chunk.samples_mv)
    if plan.untold:
        chunk = structs.replace(chunk, leads=(Lead.UNKNOWN,) * len(chunk.leads))
    if plan.lead_off is not None and plan.lead_off.is_on(since_start_s):
        nothing_mv = np.zeros_like(chunk.samples_mv)
        chunk = structs.replace(chunk, samples_mv=nothing_mv, flags=chunk.flags | ChunkFlag.LEAD_OFF)
    return chunk


class FaultyPath:
    """The way of encoded chunks to the network: some are dropped, doubled, swapped or spoilt."""

    def __init__(self, plan: FaultPlan, rng: Generator) -> None:
        self.dropped = 0
        self._plan = plan
        self._rng = rng
        self._held: Outgoing | None = None

    def push(self, message: Outgoing) -> list[Outgoing]:
        """What is sent in place of `message`, in order."""
        drop, corrupt, duplicate, reorder = self._rng.random(4)
        if drop < self._plan.drop:
            self.dropped += 1
            return self.flush()
        if corrupt < self._plan.corrupt:
            message = replace(message, payload=self._spoilt(message.payload), kind=Kind.CORRUPT)
        elif duplicate < self._plan.duplicate:
            return [message, replace(message, kind=Kind.DUPLICATE), *self.flush()]
        elif reorder < self._plan.reorder and self._held is None:
            self._held = message
            return []
        return [message, *self.flush()]

    def flush(self) -> list[Outgoing]:
        """What is still held back."""
        held = [] if self._held is None else [self._held]
        self._held = None
        return held

    def _spoilt(self, payload: bytes) -> bytes:
        """Cut short or overwritten: wire v1 has no checksum, so subtler damage would be believed."""
        if self._rng.random() < 0.5:
            return payload[: int(self._rng.integers(1, len(payload)))]
        noise = bytearray(self._rng.bytes(len(payload)))
        noise[0] = 0xFF  # neither of the two first bytes of a message
        return bytes(noise)


def _number(spec: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not low <= value <= high:
        raise ValueError(f"fault {spec!r}: want a number from {low:g} to {high:g}")
    return value


def _spell(spec: str, text: str) -> Spell:
    for_text, slash, every_text = text.partition("/")
    for_s = _number(spec, for_text, 0.0, MAX_SPELL_S)
    every_s = _number(spec, every_text, 0.0, MAX_SPELL_S) if slash else np.inf
    if not 0 < for_s <= every_s / 2 < MAX_SPELL_S:
        raise ValueError(f"fault {spec!r}: want SECONDS/EVERY, at most half of the time, such as 6/60")
    return Spell(for_s, every_s)
