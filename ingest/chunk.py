"""What one message from a device carries: consecutive samples of one or more leads."""

from enum import IntEnum, IntFlag

import msgspec
import numpy as np
from numpy.typing import NDArray


class Lead(IntEnum):
    """ECG leads by their wire code; the name is the field's own, except UNKNOWN and CHEST (a strap)."""

    UNKNOWN = 0
    I = 1  # noqa: E741 - the lead's name
    II = 2
    III = 3
    aVR = 4  # noqa: N815 - the lead's name
    aVL = 5  # noqa: N815 - the lead's name
    aVF = 6  # noqa: N815 - the lead's name
    V1 = 7
    V2 = 8
    V3 = 9
    V4 = 10
    V5 = 11
    V6 = 12
    CHEST = 20


class ChunkFlag(IntFlag):
    """What the device says about all samples of a chunk; values are the wire's bits."""

    LEAD_OFF = 1
    CLIPPED = 2
    HISTORIC = 4  # sent late on purpose: stored and classified, never a live alarm
    GAP_BEFORE = 8
    CLOCK_UNSYNCED = 16
    LAST = 32


NO_FLAGS = ChunkFlag(0)

Place = tuple[str, int, int]  # (device, session, first sample): names a stretch of a device's stream


# A record for each message is a Struct: msgspec sets its fields in C, and with gc=False (it is in no circle)
# the garbage collector never walks it. eq=False: two arrays have no single truth value.
class Chunk(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Consecutive samples from one device, in the order the device took them.

    `session` changes whenever the device restarts; within a session `first_sample` alone orders samples.
    """

    device: str  # "site/device", as in the topic
    session: int  # u32
    seq: int  # u32, counts chunks; for people, never for order
    first_sample: int  # index of the first sample in the session
    wall_time_us: int  # device clock at the first sample, Unix microseconds; for display and drift only
    device_ns: int  # the device's own uptime clock; 0 if it has none
    fs: float  # Hz, a claim to be checked against arrival
    leads: tuple[Lead, ...]
    samples_mv: NDArray[np.float32]  # (n_samples, n_leads)
    flags: ChunkFlag = NO_FLAGS

    def __post_init__(self) -> None:
        """Refuse a shape that does not match the leads; make the samples read-only."""
        shape = self.samples_mv.shape
        if len(shape) != 2 or shape[1] != len(self.leads):
            raise ValueError(
                f"samples_mv has shape {shape}, want (n_samples, {len(self.leads)}) "
                f"for leads {', '.join(lead.name for lead in self.leads)}"
            )
        self.samples_mv.setflags(write=False)

    @property
    def place(self) -> Place:
        """Where it belongs; of a place the store keeps the longest chunk."""
        return self.device, self.session, self.first_sample

    @property
    def n_samples(self) -> int:
        """Samples per lead."""
        return len(self.samples_mv)

    @property
    def end_sample(self) -> int:
        """Index one past the last sample."""
        return self.first_sample + len(self.samples_mv)
