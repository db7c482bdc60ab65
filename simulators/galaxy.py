"""A simulated Galaxy Watch app: each callback of Samsung's Health Sensor SDK as one JSON message.

The payload is the contract of docs/connect.md: 5 or 10 points of 500 Hz, of which only the first says time,
counter (0 to 255, round and round), lead-off and thresholds. A mapper (preset `galaxy_watch`) reads it.
"""

from typing import Any

import msgspec
from numpy.random import Generator

from simulators.device import Device
from simulators.faults import NO_FAULTS, FaultPlan, Kind, Outgoing
from simulators.patients import Patient

FS = 500.0  # Hz, the SDK's
POINTS = (5, 10)  # in a callback
ROUND = 256  # of the counter
LEAD_OFF = 5  # the SDK's; 0 is on
THRESHOLD_MV = 5.0
UNSUPPORTED = (
    "untold",
    "duplicate",
    "reorder",
)  # no counter of 256 tells what comes twice or in another order


class GalaxyWatch(Device):
    """One watch with such an app on one patient; its wire v1 status says that it is there."""

    def __init__(  # noqa: PLR0913 - each is one independent fact of the watch
        self, device: str, name: str, patient: Patient, rng: Generator, *, points: int = 10,
        faults: FaultPlan = NO_FAULTS,
    ) -> None:  # fmt: skip
        if patient.fs != FS:
            raise ValueError(f"the patient has {patient.fs:g} Hz, a Galaxy Watch sends {FS:g}")
        if points not in POINTS:
            raise ValueError(f"points is {points}, a Galaxy Watch sends {' or '.join(map(str, POINTS))}")
        for fault in UNSUPPORTED:
            if getattr(faults, fault):
                raise ValueError(f"fault {fault!r} is for devices of wire v1")
        super().__init__(device, name, patient, 0, rng, faults=faults)
        self.chunk_s = points / FS
        self._points = points
        self._topic = f"watch/{device.rpartition('/')[2]}/ecg"

    def _next_chunk(self, start_s: float) -> Outgoing:
        since_start_s = self._n_chunks * self.chunk_s
        samples_mv = self.patient.next_samples(self._points)
        if self.faults.inverted:
            samples_mv = -samples_mv
        is_off = self.faults.lead_off is not None and self.faults.lead_off.is_on(since_start_s)
        points: list[dict[str, Any]] = [
            {"ECG_MV": 0.0 if is_off else round(float(each), 3)} for each in samples_mv
        ]
        points[0] = {
            "TIMESTAMP": round((start_s + since_start_s - self.faults.clock) * 1000),
            "SEQUENCE": self._n_chunks % ROUND,
            "LEAD_OFF": LEAD_OFF if is_off else 0,
            "MAX_THRESHOLD_MV": THRESHOLD_MV,
            "MIN_THRESHOLD_MV": -THRESHOLD_MV,
        } | points[0]
        message = Outgoing(
            self._topic,
            msgspec.json.encode({"points": points}),
            kind=Kind.CHUNK,
            device=self.device,
            first_sample=self._n_chunks * self._points,
            n_samples=self._points,
        )
        self._n_chunks += 1
        return message
