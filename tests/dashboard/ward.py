"""What the browser tests stand on: two beds and services spoken by hand, and the real dashboard."""

import json
import multiprocessing
import threading
import time
import urllib.request
import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dashboard import service
from ingest.chunk import Chunk, Lead
from ingest.link import MqttLink
from ingest.settings import Settings, load_settings
from ingest.wire import encode_binary

BED, OTHER = "ward/bed-1", "ward/bed-2"
FS = 250.0
CHUNK = 63  # about a quarter of a second
REQUESTS = (
    "acknowledge/#", "pause", "limits/#", "discharge/#", "annotate/#", "explain/#", "channel_test/+",
    "name/#", "retention",
)  # fmt: skip


class Broker(Protocol):
    """The part of conftest's `mosquitto` used here."""

    address: tuple[str, int]


class Ward:
    """Two beds and three services, spoken by hand; `silent` says which of them hold their tongue."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.silent: set[str] = set()
        self.also: set[str] = set()  # services that speak besides the three
        self.doubts: list[str] = []
        self.rhythm: dict[str, object] = {}  # fields of vitals that RR intervals tell
        self.asked: list[tuple[str, dict[str, Any]]] = []  # what pages asked, after wl/v1/
        self._link = MqttLink(address, "test-ward")
        for request in REQUESTS:
            self._link.subscribe(f"wl/v1/{request}")
        self._link.connect()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._link.close()

    def publish(self, topic: str, message: object, *, retain: bool = False) -> None:
        with self._lock:
            self._link.publish(topic, b"" if message is None else json.dumps(message).encode(), retain=retain)

    def raise_alarm(
        self, device: str, kind: str, priority: str, text: str, state: str = "on", **more: object
    ) -> None:
        now_us = time.time_ns() // 1000
        queue = "technical" if kind in {"lead_off", "notifier"} else "physiological"
        alarm: dict[str, object] = {
            "device": device,
            "kind": kind,
            "queue": queue,
            "priority": priority,
            "state": state,
        }
        alarm |= {"text": text, "since_us": now_us, "at_us": now_us} | more
        self.publish(f"wl/v1/alarm/{device}/{kind}", alarm, retain=True)

    def wait_for_request(self, page: Any, topic: str) -> dict[str, Any]:
        """The first thing asked on the topic that was not taken yet; fails after 10 s."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for place, (told, asked) in enumerate(self.asked):
                if told == topic:
                    del self.asked[place]
                    return asked
            page.wait_for_timeout(50)
        raise AssertionError(f"nothing was asked on {topic}, only {self.asked}")

    def decide(self, device: str, **more: object) -> None:
        """A verdict with MI present; `more` replaces or adds fields."""
        now_us = time.time_ns() // 1000
        findings = [
            {
                "superclass": s,
                "probability": p,
                "threshold": 0.4,
                "presence": "present" if p > 0.5 else "absent",
            }
            for s, p in (("NORM", 0.02), ("MI", 0.91), ("STTC", 0.1), ("CD", 0.2), ("HYP", 0.3))
        ]
        verdict: dict[str, object] = {
            "device": device,
            "session": 5,
            "first_sample": 0,
            "wall_time_us": now_us,
            "model": "m1",
        }
        verdict |= {"decided_us": now_us, "historic": False, "findings": findings} | more
        self.publish(f"wl/v1/verdict/{device}", verdict)

    def _run(self) -> None:
        for device, name in ((BED, "Bed one"), (OTHER, "Bed two")):
            self.publish(f"ecg/v1/{device}/meta", {"name": name, "source": "replay"}, retain=True)
        start, k = time.monotonic(), 0
        while not self._stop.is_set():
            with self._lock:
                for message in self._link.poll(0.01):
                    asked = json.loads(message.payload)
                    self.asked.append((message.topic.removeprefix("wl/v1/"), asked))
            if time.monotonic() >= start + k * CHUNK / FS:
                self._speak(k)
                k += 1

    def _speak(self, k: int) -> None:
        now_us = time.time_ns() // 1000
        t = (np.arange(k * CHUNK, (k + 1) * CHUNK) / FS).astype(np.float32)
        ecg_mv = np.exp(-(((t % 0.8) - 0.4) ** 2) / 0.0004).astype(np.float32)[:, None]  # 75 beats a minute
        with self._lock:
            for device in {BED, OTHER} - self.silent:
                chunk = Chunk(device, 5, k, k * CHUNK, now_us, 0, FS, (Lead.I,), ecg_mv.copy())
                self._link.publish(f"ecg/v1/{device}/chunk", encode_binary(chunk), qos=0)
        if k % 4 == 0:
            vitals: dict[str, object] = {
                "session": 5,
                "at_us": now_us,
                "last_sample": k * CHUNK,
                "heart_rate_bpm": 75.2,
            }
            vitals |= {"since_beat_s": 0.2, "signal": "good", "doubts": list(self.doubts), **self.rhythm}
            self.publish("wl/v1/vitals/ward", [vitals | {"device": d} for d in {BED, OTHER} - self.silent])
            for name in ({"ingest", "inference", "alarms"} | self.also) - self.silent:
                self.publish(f"wl/v1/service/{name}", {"online": True, "at_us": now_us})


class Dashboard:
    """The real process on a free port; forked from one that has imported it, which takes 2.5 s of CPU."""

    def __init__(self, broker: tuple[str, int], port: int, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._settings = load_settings(
            broker=f"{broker[0]}:{broker[1]}", dashboard_port=port, data_dir=folder
        )
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["dashboard.service"])
        self.process = context.Process(target=serve, args=(self._settings,))
        self.process.start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                # Not "/": a page must be whole also where nobody has asked for the wall before.
                urllib.request.urlopen(f"{self.url}/alarms", timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise TimeoutError(f"no dashboard at {self.url}")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.join()

    def stop(self) -> int | None:
        """Ask it to end; its exit status."""
        self.process.terminate()
        self.process.join(timeout=10)
        return self.process.exitcode


def serve(settings: Settings) -> None:
    """What `wristlead dashboard` does, with warnings as errors as far as they are about us."""
    warnings.simplefilter("error", DeprecationWarning)
    service.run(settings)
