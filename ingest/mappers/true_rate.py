"""A device's own stamps over an unbroken stretch -> the rate at which it really samples.

A strap that says 130 Hz samples at 128 to 131. A lost frame must not pass for slow samples: only stretches
that fit the claimed rate within half a reading are measured (`loss.py` decides that before).
"""

AFTER_S = 10.0  # 1 ms of jitter is then 0.01 %
DIFFERS = 2e-3  # share; a 10-s window would end 20 ms off
BELIEVABLE = 0.05  # share; what differs more is a wrong claim or wrong stamps, not a crystal


class TrueRate:
    """Counts samples against stamps since the last break; answers once, then keeps its answer."""

    def __init__(self) -> None:
        self._since: tuple[int, int] | None = None  # (stamp ns, sample it stamps)
        self._claimed: float | None = None
        self.fs: float | None = None  # Hz, whole mHz; None until 10 unbroken seconds were seen

    def restart(self) -> None:
        """The stream broke."""
        self._since = None

    def push(self, stamp_ns: int, sample: int, claimed_fs: float) -> None:
        """The device stamped `sample` with `stamp_ns`."""
        if self._claimed != claimed_fs:
            self._claimed, self.fs, self._since = claimed_fs, None, None
        if self._since is None:
            self._since = (stamp_ns, sample)
        span_s = (stamp_ns - self._since[0]) / 1e9
        if self.fs is not None or span_s < AFTER_S:
            return
        fs = (sample - self._since[1]) / span_s
        differs = abs(fs - claimed_fs) / claimed_fs
        if differs <= BELIEVABLE:
            self.fs = round(fs if differs > DIFFERS else claimed_fs, 3)
