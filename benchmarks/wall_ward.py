"""A ward of simulated devices, its vitals, verdicts and services, spoken to one broker by one process.

    python -m benchmarks.wall_ward --broker 127.0.0.1:1883 --panels 16 --start-us 1790000000000000

Beds take their ECG from the rings of the simulated fleet; every second bed at 512 Hz, the others at 256 Hz.
Nobody computes vitals here, so that the benchmark measures dashboard and browser alone: rates are made up,
and move. The chunk of bed b that ends with sample n is due at `due_us(start, b, panels, chunk_s, n / fs)`.
"""

import argparse
import heapq
import json
import time

import numpy as np
from numpy.typing import NDArray

from ingest import topics
from ingest.chunk import Chunk, Lead
from ingest.link import MqttLink
from ingest.wire import encode_binary
from simulators.rings import EcgRing, allot

SITE = "wall"
FS_HZ = (512.0, 256.0)
SESSION = 7
VERDICT_EVERY_S = 5
ALARM_EVERY = 16  # so many beds, one with a medium alarm, whose strip flashes
SERVICES = ("ingest", "inference", "alarms")
LIMITS = {
    "rate_low_bpm": 50,
    "rate_high_bpm": 120,
    "rate_extreme_low_bpm": 40,
    "rate_extreme_high_bpm": 150,
    "sources": {},
    "who": None,
    "at_us": None,
}


def device_of(bed: int) -> str:
    """The device of a bed."""
    return f"{SITE}/bed-{bed:03d}"


def due_us(start_us: int, bed: int, panels: int, chunk_s: float, at_s: float) -> float:
    """When the sample `at_s` seconds into a bed's session is taken: beds are spread evenly over a chunk."""
    return start_us + 1e6 * (chunk_s * bed / panels + at_s)


class Bed:
    """One device: its ECG, chunk by chunk."""

    def __init__(self, bed: int, ring: EcgRing, begins_at: int) -> None:
        self.device = device_of(bed)
        self.fs = FS_HZ[bed % len(FS_HZ)]
        self._ring, self._begins_at = ring, begins_at
        self._seq = self._first = 0

    def next_chunk(self, chunk_s: float, wall_time_us: int) -> bytes:
        """The next chunk as binary wire v1."""
        end = round((self._seq + 1) * chunk_s * self.fs)
        samples_mv = self._samples_mv(end - self._first)
        chunk = Chunk(
            self.device, SESSION, self._seq, self._first, wall_time_us, 0, self.fs, (Lead.I,), samples_mv
        )
        self._seq, self._first = self._seq + 1, end
        return encode_binary(chunk)

    def _samples_mv(self, n: int) -> NDArray[np.float32]:
        step = round(FS_HZ[0] / self.fs)
        raw = self._ring.samples(self._begins_at + step * self._first, step * n)
        return (np.frombuffer(raw, "<i2")[::step] / 1000).astype(np.float32)[:, None]


class Ward:
    """All beds on one connection. `run` goes on for ever."""

    def __init__(self, address: tuple[str, int], panels: int, chunk_s: float, start_us: int) -> None:
        self._link = MqttLink(address, f"wall-ward-{start_us}")
        self._link.connect()
        self._start_us, self._chunk_s = start_us, chunk_s
        self._beds = [Bed(bed, ring, at) for bed, (ring, at, _) in enumerate(allot(panels))]

    def run(self) -> None:
        """Say what stays once, then each chunk when it is due, and the rest each second."""
        self._say_what_stays()
        panels = len(self._beds)
        due = [
            (due_us(self._start_us, bed, panels, self._chunk_s, self._chunk_s), bed) for bed in range(panels)
        ]
        second = 0
        while True:
            now_us = time.time() * 1e6
            while due[0][0] <= now_us:
                at_us, bed = due[0]
                payload = self._beds[bed].next_chunk(self._chunk_s, round(at_us - 1e6 * self._chunk_s))
                self._link.publish(topics.device_topic(self._beds[bed].device, "chunk"), payload)
                heapq.heapreplace(due, (at_us + 1e6 * self._chunk_s, bed))
            if now_us >= self._start_us + 1e6 * second:
                self._say_state(second, round(now_us))
                second += 1
            self._link.poll(max(0.0, min(0.05, due[0][0] / 1e6 - time.time())))

    def _say(self, topic: str, message: object, *, retain: bool = False) -> None:
        self._link.publish(topic, json.dumps(message).encode(), retain=retain)

    def _say_what_stays(self) -> None:
        now_us = time.time_ns() // 1000
        for place, bed in enumerate(self._beds):
            meta = {"name": f"Bed {place + 1:02d}", "source": "synthetic", "lead": "I"}
            self._say(topics.device_topic(bed.device, "meta"), meta, retain=True)
            self._say(topics.device_topic(bed.device, "status"), {"online": True, "battery": 81}, retain=True)
            self._say(f"wl/v1/limits_in_force/{bed.device}", LIMITS | {"device": bed.device}, retain=True)
            if place % ALARM_EVERY == ALARM_EVERY - 1:
                alarm: dict[str, object] = {"since_us": now_us, "at_us": now_us}
                alarm |= {"device": bed.device, "kind": "rate_limit", "queue": "physiological"}
                alarm |= {"priority": "medium", "state": "on", "text": "HR 134 > 120"}
                self._say(f"wl/v1/alarm/{bed.device}/rate_limit", alarm, retain=True)

    def _say_state(self, second: int, now_us: int) -> None:
        vitals = []
        for place, bed in enumerate(self._beds):
            rate_bpm = 60 + (place * 7 + second // 3) % 40
            seen = {"device": bed.device, "session": SESSION, "at_us": now_us, "last_sample": second}
            vitals.append(seen | {"heart_rate_bpm": rate_bpm, "since_beat_s": 0.2, "signal": "good"})
            if (second + place) % VERDICT_EVERY_S == 0:
                self._say(f"wl/v1/verdict/{bed.device}", _verdict(bed.device, second, now_us))
        self._say(f"wl/v1/vitals/{SITE}", vitals)
        for name in SERVICES:
            self._say(topics.service_topic(name), {"online": True, "at_us": now_us})


def _verdict(device: str, second: int, now_us: int) -> dict[str, object]:
    probabilities = {"NORM": 0.9 + second % 7 / 100, "MI": 0.03, "STTC": 0.05, "CD": 0.04, "HYP": 0.02}
    findings = [
        {
            "superclass": superclass,
            "probability": probability,
            "threshold": 0.4,
            "presence": "present" if probability > 0.5 else "absent",
        }
        for superclass, probability in probabilities.items()
    ]
    window = {"device": device, "session": SESSION, "first_sample": second * 512, "wall_time_us": now_us}
    return window | {"model": "none", "decided_us": now_us, "historic": False, "findings": findings}


def main() -> None:
    """Parse, speak until killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--panels", type=int, required=True)
    parser.add_argument("--chunk-ms", type=int, default=250)
    parser.add_argument("--start-us", type=int, required=True)
    options = parser.parse_args()
    host, _, port = options.broker.rpartition(":")
    Ward((host, int(port)), options.panels, options.chunk_ms / 1000, options.start_us).run()


if __name__ == "__main__":
    main()
