"""A device's time stamps, in whatever unit and epoch -> nanoseconds of its clock and Unix microseconds."""

from dataclasses import dataclass

from ingest.encoding import WireError
from ingest.wire import END_OF_TIME_US

UNIT_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
EPOCH_US = {"unix": 0, "2000": 946_684_800_000_000, "2001": 978_307_200_000_000}  # of 1 January, UTC
NEAR_US = 2 * 86_400_000_000  # a clock that was ever set is within two days of arrival, whatever its zone
OLDEST_US = 1_420_070_400_000_000  # 2015: before it no wearable recorded an ECG ...
UNSET_US = 60 * 86_400_000_000  # ... and a strap with an empty battery restarts at the start of a year
SAME_SPACING = 3.0  # spacing tells units a factor of 1000 apart, even where a message in two is lost
_MAX_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Stamp:
    """One reading of a device's clock."""

    ns: int  # since the clock's own epoch, whatever that is
    wall_us: int | None  # Unix microseconds; None for a clock without a known epoch
    is_synced: bool  # within two days of arrival
    resolution_s: float  # the step of the number that came


class DeviceClock:
    """Reads one device's stamps. `auto` is decided by plausibility, then by spacing, and then kept.

    Plausible is a moment within two days of arrival, then one between 2015 and now. A clock that shows no
    plausible moment (never set, or counting from power-on) still tells its unit by its spacing; its epoch
    stays unknown then.
    """

    def __init__(self, unit: str, epoch: str) -> None:
        self._units = tuple(UNIT_NS) if unit == "auto" else (unit,)
        self._epochs = tuple(EPOCH_US) if epoch == "auto" else () if epoch == "uptime" else (epoch,)
        self._is_auto = len(self._units) > 1 or len(self._epochs) > 1
        self._decided: tuple[str, str | None] | None = None
        if not self._is_auto:
            self._decided = (unit, None if epoch == "uptime" else epoch)
        self._previous: float | int | None = None

    def read(self, value: float, received_us: int, since_previous_s: float) -> Stamp | None:
        """The stamp; None while nothing tells its unit. Raises WireError where it cannot be a time.

        `since_previous_s` is how long the samples between this stamp and the one before take.
        """
        previous, self._previous = self._previous, value
        if self._decided is None or (self._is_auto and not self._is_near(value, received_us)):
            self._decided = (
                self._by_plausibility(value, received_us)
                or self._decided
                or self._by_spacing(value, previous, since_previous_s)
            )
        if self._decided is None:
            return None
        unit, epoch = self._decided
        ns, resolution_s = _in_ns(value, unit)
        if epoch is None:
            return Stamp(ns, None, is_synced=False, resolution_s=resolution_s)
        wall_us = ns // 1000 + EPOCH_US[epoch]
        if not 0 <= wall_us < END_OF_TIME_US:
            raise WireError(f"time {value} in {unit} since {epoch} is outside the years 1970 to 9999")
        return Stamp(ns, wall_us, abs(wall_us - received_us) <= NEAR_US, resolution_s)

    def _is_near(self, value: float, received_us: int) -> bool:
        wall_us = self._wall_us(value, *self._decided) if self._decided else None
        return wall_us is not None and abs(wall_us - received_us) <= NEAR_US

    def _by_plausibility(self, value: float, received_us: int) -> tuple[str, str | None] | None:
        distances = {}
        for unit in self._units:
            for epoch in self._epochs:
                wall_us = self._wall_us(value, unit, epoch)
                if wall_us is not None:
                    distances[unit, epoch] = wall_us - received_us
        near = {each: abs(us) for each, us in distances.items() if abs(us) <= NEAR_US}
        if near:
            return min(near, key=lambda each: near[each])
        old = [each for each, us in distances.items() if OLDEST_US - received_us <= us <= NEAR_US]
        # 2000 and 2001 lie too close together to be told apart by an old moment; units do not.
        return old[0] if len({unit for unit, _ in old}) == 1 and len(old) == 1 else None

    def _by_spacing(
        self, value: float, previous: float | None, since_previous_s: float
    ) -> tuple[str, str | None] | None:
        if previous is None or value <= previous or since_previous_s <= 0:
            return None
        for unit in self._units:
            ratio = (value - previous) * (UNIT_NS[unit] / 1e9) / since_previous_s
            if 1 / SAME_SPACING <= ratio <= SAME_SPACING:
                return unit, self._epochs[0] if len(self._epochs) == 1 else None
        return None

    @staticmethod
    def _wall_us(value: float, unit: str, epoch: str | None) -> int | None:
        """Unix microseconds; None for a moment that no calendar of ours holds."""
        if epoch is None:
            return None
        us = value * (UNIT_NS[unit] / 1000) + EPOCH_US[epoch]
        return int(us) if 0 <= us < END_OF_TIME_US else None


def _in_ns(value: float, unit: str) -> tuple[int, float]:
    """The value in ns, and its resolution in s: integers count whole units, fractions are finer."""
    if isinstance(value, int):
        ns, resolution_s = value * UNIT_NS[unit], UNIT_NS[unit] / 1e9
    else:  # at today's date a double of seconds steps by 0.2 us
        ns, resolution_s = round(value * UNIT_NS[unit]), 1e-6
    if abs(ns) > _MAX_NS:
        raise WireError(f"time {value} in {unit} does not fit 64 bits of nanoseconds")
    return ns, resolution_s
