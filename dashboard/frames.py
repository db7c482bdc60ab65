"""Samples and slow state -> what a browser receives on `/live`; its twin in the browser is assets/frames.mjs.

A binary message carries the samples of one tick, little-endian:

    header   8 bytes `<2sBBI`       magic "WL", version 1, history (1: samples of before, which tell nothing
                                    about the delay; 0: they have just come), number of segments
    segment 40 bytes `<HBBIQQdII`   device index (see `PatientState.index`), flags (the wire's bits), encoding
                                    (0: int16 uV, 1: float32 mV), session, first sample, received (Unix us),
                                    fs (Hz), number of samples, reserved
            then its samples, padded with zeros to a multiple of 4 bytes

A missing sample is never sent: the browser sees the hole between two segments by their sample indices.
A text message is the JSON of a `StateFrame`.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from dashboard.house import Channel, ServiceState
from dashboard.patient_state import PatientState, Segment
from inference.alarms.alarm import Alarm
from inference.alarms.messages import Refusal
from inference.alarms.pause import Pause

MAGIC = b"WL"
VERSION = 1
HEADER = struct.Struct("<2sBBI")
SEGMENT = struct.Struct("<HBBIQQdII")
INT16_UV = 0
FLOAT32_MV = 1
INT16_LIMIT_MV = 32.7  # beyond it (dry electrodes drift by 100 mV and more) samples travel as float32


@dataclass(frozen=True, slots=True)
class StateFrame:
    """Slow state: everything on the page but the traces. Ages follow from `at_us` minus the times in it."""

    at_us: int  # this server's clock, Unix microseconds
    broker: bool  # the broker is connected
    broker_since_us: int  # since when it is, or is not
    services: tuple[ServiceState, ...]
    channels: tuple[Channel, ...]  # by which notifications leave
    own_alarms: tuple[Alarm, ...]  # of Wristlead's own parts
    own_refusals: dict[str, Refusal]  # by part, or "pause": of the newest request not done
    paused: Pause | None  # may be over: `until_us` says
    devices: tuple[str, ...]  # all of them, in the order of the wall
    patients: tuple[PatientState, ...]  # those that changed since the last frame
    dropped: int  # segments this browser was too slow to take
    explain: ServiceState | None = None  # the explain service, which need not be there
    type: str = "state"


def encode_state(frame: StateFrame) -> str:
    """A state frame as JSON text."""
    return msgspec.json.encode(frame).decode()


def encode_samples(segments: Sequence[Segment], *, is_history: bool = False) -> bytes:
    """Segments, in the order given, as one binary message."""
    parts = [HEADER.pack(MAGIC, VERSION, is_history, len(segments))]
    for segment in segments:
        encoding, samples = _encoded(segment.samples_mv)
        parts.append(
            SEGMENT.pack(
                segment.index,
                segment.flags,
                encoding,
                segment.session,
                segment.first_sample,
                segment.received_us,
                segment.fs,
                len(segment.samples_mv),
                0,
            )
        )
        parts.append(samples + bytes(-len(samples) % 4))
    return b"".join(parts)


def _encoded(samples_mv: NDArray[np.float32]) -> tuple[int, bytes]:
    if len(samples_mv) and float(np.abs(samples_mv).max()) > INT16_LIMIT_MV:
        return FLOAT32_MV, samples_mv.astype("<f4").tobytes()
    return INT16_UV, np.rint(samples_mv * 1000).astype("<i2").tobytes()
