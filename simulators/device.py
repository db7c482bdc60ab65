"""A simulated wearable: the time -> the messages it would send by now (wire v1, 250 ms a chunk)."""

import msgspec
from numpy.random import Generator

from ingest.chunk import Chunk
from ingest.topics import device_topic
from ingest.wire import encode_binary
from simulators.faults import NO_FAULTS, FaultPlan, FaultyPath, Kind, Outgoing, faulty_chunk
from simulators.patients import Patient

CHUNK_S = 0.25  # short chunks keep the live delay below half a second
FIRST_BATTERY = 81  # percent
BATTERY_STEP_S = 600.0  # one percent less each 10 minutes
LOWEST_BATTERY = 5


class Device:
    """One wearable on one patient. It never reads a clock: `step` is told the time.

    `session` is the random number a real device would draw at each start. The same arguments and the same
    times give the same messages.
    """

    def __init__(  # noqa: PLR0913 - each is one independent fact of the device
        self,
        device: str,
        name: str,
        patient: Patient,
        session: int,
        rng: Generator,
        *,
        faults: FaultPlan = NO_FAULTS,
    ) -> None:
        self.device = device  # "site/device"
        self.name = name
        self.patient = patient
        self.session = session
        self.faults = faults
        self.chunk_s = CHUNK_S
        self._path = FaultyPath(faults, rng)
        self._start_s: float | None = None
        self._n_chunks = 0
        self._battery = FIRST_BATTERY

    @property
    def will(self) -> Outgoing:
        """What the broker says when the device is gone without a word; also its goodbye."""
        return Outgoing(device_topic(self.device, "status"), b'{"online":false}', retain=True)

    @property
    def dropped(self) -> int:
        """Chunks that a fault kept from being sent."""
        return self._path.dropped

    def greeting(self) -> list[Outgoing]:
        """Meta and status, both retained: to be sent at each connection, before anything else."""
        meta = {
            "model": f"Wristlead {self.patient.source}",
            "lead": None if self.faults.untold else self.patient.lead.name,
            "unit": "uV",
            "fs": self.patient.fs,
            "firmware": "1.0",
            "time_zone": "UTC",
            "source": self.patient.source,
            "recording": self.patient.description,
            "name": self.name,
        }
        payload = msgspec.json.encode(meta)
        return [Outgoing(device_topic(self.device, "meta"), payload, retain=True), self._status()]

    def step(self, now_s: float) -> list[Outgoing]:
        """Everything due by `now_s` (Unix seconds); the first call starts the device."""
        if self._start_s is None:
            self._start_s = now_s
        messages: list[Outgoing] = []
        while self._start_s + (self._n_chunks + 1) * self.chunk_s <= now_s:
            messages += self._path.push(self._next_chunk(self._start_s))
        battery = max(LOWEST_BATTERY, FIRST_BATTERY - int((now_s - self._start_s) / BATTERY_STEP_S))
        if battery != self._battery:
            self._battery = battery
            messages.append(self._status())
        return messages

    def flush(self) -> list[Outgoing]:
        """What faults still hold back, when the device stops."""
        return self._path.flush()

    def is_out_of_reach(self, now_s: float) -> bool:
        """True while the disconnect fault keeps the device from its broker."""
        spell = self.faults.disconnect
        return spell is not None and self._start_s is not None and spell.is_on(now_s - self._start_s)

    def _next_chunk(self, start_s: float) -> Outgoing:
        fs = self.patient.fs
        first_sample = round(self._n_chunks * self.chunk_s * fs)
        n_samples = round((self._n_chunks + 1) * self.chunk_s * fs) - first_sample
        since_start_s = first_sample / fs
        chunk = Chunk(
            device=self.device,
            session=self.session,
            seq=self._n_chunks & 0xFFFFFFFF,
            first_sample=first_sample,
            wall_time_us=round((start_s + since_start_s) * 1e6),
            device_ns=round(since_start_s * 1e9),
            fs=fs,
            leads=(self.patient.lead,),
            samples_mv=self.patient.next_samples(n_samples)[:, None],
        )
        self._n_chunks += 1
        return Outgoing(
            device_topic(self.device, "chunk"),
            encode_binary(faulty_chunk(chunk, self.faults, since_start_s)),
            kind=Kind.CHUNK,
            device=self.device,
            session=self.session,
            first_sample=first_sample,
            n_samples=n_samples,
        )

    def _status(self) -> Outgoing:
        payload = msgspec.json.encode({"online": True, "battery": self._battery})
        return Outgoing(device_topic(self.device, "status"), payload, retain=True)
