"""Bytes that a Polar strap notifies -> ECG frames, replies, contact and battery; and the commands to it.

Pure. The layout is that of Polar's published measurement-data service (PMD) and of Bluetooth's heart-rate and
battery services. Whatever does not fit is refused with a `FrameError`.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Characteristics; Polar's own two, then those that Bluetooth has numbered.
CONTROL = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"
DATA = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"
HEART_RATE = "00002a37-0000-1000-8000-00805f9b34fb"
BATTERY = "00002a19-0000-1000-8000-00805f9b34fb"
FIRMWARE = "00002a26-0000-1000-8000-00805f9b34fb"
MODEL = "00002a24-0000-1000-8000-00805f9b34fb"

ECG = 0  # measurement type
GET_SETTINGS, START, STOP = 1, 2, 3
SETTINGS_COMMAND = bytes((GET_SETTINGS, ECG))
STOP_COMMAND = bytes((STOP, ECG))
REPLY = 0xF0
SUCCESS, ALREADY_IN_STATE = 0, 6
REFUSALS = {
    1: "invalid command", 2: "no such measurement", 3: "not supported", 4: "invalid length",
    5: "invalid parameter", 6: "already in this state", 7: "no such resolution", 8: "no such rate",
    9: "no such range", 10: "MTU too small", 11: "wrong number of channels", 12: "invalid state",
    13: "the strap is charging",
}  # fmt: skip
RATE, RESOLUTION = 0, 1  # settings
_SETTING_BYTES = {0: 2, 1: 2, 2: 2, 3: 4, 4: 1, 5: 4}
_HEAD = struct.Struct("<BQB")  # measurement, ns since 2000-01-01 of the LAST sample, type of frame
_PLAIN = 0  # the type of frame whose samples are int24 microvolts
_SAMPLE_BYTES = 3
_END_NS = 1 << 63  # the wire's device clock is signed
_CONTACT_KNOWN, _CONTACT = 0x04, 0x02  # flags of a heart-rate measurement


class FrameError(ValueError):
    """A notification is malformed; the text says what was expected and what came."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Consecutive ECG samples, as one notification brings them (about 73)."""

    last_ns: int  # the strap's clock at the LAST sample, ns since 2000-01-01; 2019 where it was never set
    samples_uv: NDArray[np.int32]  # (n,)


@dataclass(frozen=True, slots=True)
class Reply:
    """The strap's answer to a command."""

    command: int
    measurement: int
    error: int
    parameters: bytes

    @property
    def refusal(self) -> str:
        """Its error in words."""
        return REFUSALS.get(self.error, f"error {self.error}")


def decode_frame(data: bytes) -> Frame:
    """A notification of `DATA` -> its samples in microvolts; raises FrameError."""
    if len(data) < _HEAD.size + _SAMPLE_BYTES:
        raise FrameError(
            f"frame has {len(data)} bytes, want {_HEAD.size} and {_SAMPLE_BYTES} for each sample"
        )
    measurement, last_ns, kind = _HEAD.unpack_from(data)
    if (measurement, kind) != (ECG, _PLAIN):
        raise FrameError(f"measurement {measurement}, frame type {kind}, want {ECG} (ECG) and {_PLAIN}")
    n, rest = divmod(len(data) - _HEAD.size, _SAMPLE_BYTES)
    if rest:
        raise FrameError(f"{n} samples of {_SAMPLE_BYTES} bytes and {rest} bytes more, want whole samples")
    if last_ns >= _END_NS:
        raise FrameError(f"clock is {last_ns} ns, want less than 2^63")
    low, middle, high = np.frombuffer(data, np.uint8, offset=_HEAD.size).reshape(n, 3).T.astype(np.int32)
    unsigned = low | middle << 8 | high << 16
    return Frame(last_ns, (unsigned ^ 0x800000) - 0x800000)


def decode_reply(data: bytes) -> Reply:
    """An indication of `CONTROL`; raises FrameError."""
    if len(data) < 4 or data[0] != REPLY:
        raise FrameError(f"reply starts {data[:1].hex()} and has {len(data)} bytes, want f0 and 4 or more")
    return Reply(data[1], data[2], data[3], bytes(data[5:]))  # byte 4 says whether more follows


def decode_settings(parameters: bytes) -> dict[int, tuple[int, ...]]:
    """What may be chosen, by setting (`RATE`, `RESOLUTION`); raises FrameError."""
    settings, at = dict[int, tuple[int, ...]](), 0
    while at < len(parameters):
        size = _SETTING_BYTES.get(parameters[at])
        if size is None or at + 2 > len(parameters) or at + 2 + size * parameters[at + 1] > len(parameters):
            raise FrameError(f"settings {parameters.hex()} end or are unknown at byte {at}")
        start, count = at + 2, parameters[at + 1]
        values = [parameters[start + size * k : start + size * (k + 1)] for k in range(count)]
        settings[parameters[at]] = tuple([int.from_bytes(value, "little") for value in values])
        at = start + size * count
    return settings


def start_command(fs: int, resolution_bits: int) -> bytes:
    """The command that starts the ECG."""
    return struct.pack("<BBBBHBBH", START, ECG, RATE, 1, fs, RESOLUTION, 1, resolution_bits)


def decode_contact(data: bytes) -> bool | None:
    """A heart-rate measurement -> whether the electrodes touch; None where the strap does not tell."""
    if not data:
        raise FrameError("heart-rate measurement has 0 bytes, want 2 or more")
    return bool(data[0] & _CONTACT) if data[0] & _CONTACT_KNOWN else None


def decode_battery(data: bytes) -> int:
    """Per cent; raises FrameError."""
    if len(data) != 1 or data[0] > 100:
        raise FrameError(f"battery is {data.hex() or 'empty'}, want one byte of 0 to 100")
    return data[0]
