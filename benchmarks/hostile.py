"""Hostile clients at a real Mosquitto and a real ingest, beside two devices that behave; accounts for these.

    python -m benchmarks.hostile --seconds 60 --json

Each attack meets a fresh broker, started as `wristlead broker` starts it, a fresh `wristlead ingest`, and two
simulated patients whose log of acknowledged chunks is compared with the store afterwards:

- `quiet`: none, for comparison;
- `tiny`: chunks of 5 samples, each continuing the last, as fast as the broker takes them;
- `large`: chunks of 65,535 samples of 4 leads (524 kB), the same way;
- `huge`: payloads of 5 MB on a chunk topic, the same way;
- `reconnect`: a client that connects, changes its retained status and breaks off, in a tight loop;
- `names`: 5,000 invented devices, each with a good chunk, over and over.

Told of each: chunks of the two lost (acknowledged, not stored), milliseconds from their publication to
ingest, whether the broker's queue was empty in the end, CPU share and memory of both, ingest's counters.
"""

import argparse
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psutil

from ingest.broker import broker_command
from ingest.encoding import Encoding
from ingest.link import MqttLink
from ingest.settings import Settings, load_settings
from ingest.store.accounting import account
from ingest.store.schema import open_store
from ingest.topics import SERVICES, service_topic
from ingest.wire import HEADER, MAGIC

ATTACKS = ("quiet", "tiny", "large", "huge", "reconnect", "names")
PATIENTS = 2
SETTLE_S = 4.0  # good devices alone, before and after
DRAIN_S = 300.0  # what the broker holds for ingest must have come by then
INVENTED = 5_000
BURST_BYTES = 1 << 18  # written at once
FS = 500
Publication = Callable[[int], tuple[str, bytes]]


def main() -> int:
    """Parse, run, print; 1 when a chunk of a device that behaves was lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of each attack")
    parser.add_argument("--attack", action="append", choices=ATTACKS, help="default: all; repeatable")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--as-client", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    attacks = options.attack or list(ATTACKS)
    if options.as_client is not None:
        print(json.dumps(attack(attacks[0], options.as_client, options.seconds)))
        return 0
    figures = {each: measure(each, options.seconds) for each in attacks}
    print(json.dumps(figures, indent=None if options.json else 2))
    return int(any(each["lost"] for each in figures.values()))


def measure(name: str, seconds: float) -> dict[str, Any]:
    """One attack on a fresh broker and ingest."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        settings = load_settings(data_dir=Path(folder), broker_port=_free_port(), log_level="ERROR")
        log = Path(folder) / "published.csv"
        broker = stack.enter_context(_process(broker_command(settings), settings))
        _wait_until_listening(settings.broker_address)
        ingest = stack.enter_context(_process(_wristlead("ingest"), settings))
        watch = _Watch(settings, {"broker": broker, "ingest": ingest})
        watch.until(lambda: bool(watch.counters), 30.0)
        good = ("simulate", "--patients", str(PATIENTS), "--published-log", str(log))
        patients = stack.enter_context(_process(_wristlead(*good), settings))
        watch.listen(SETTLE_S)
        sent = _attack_beside(name, seconds, settings, watch)
        watch.listen(SETTLE_S)
        _end(patients)
        drained_s = watch.until_drained(DRAIN_S)
        _end(ingest)
        found = account(open_store(settings.store_address), log)
    return {
        "published": found.published,
        "lost": found.lost,
        "arrival_ms": asdict(found.publish_arrival_ms),
        "attacker": sent,
        "drained_s": drained_s,
        **watch.figures(),
    }


def attack(name: str, port: int, seconds: float) -> dict[str, int]:
    """Be the hostile client; messages sent and acknowledged."""
    if name == "reconnect":
        return _reconnect(port, seconds)
    makers: dict[str, Publication] = {
        "tiny": lambda k: ("ecg/v1/bad/tiny/chunk", _chunk(k, 5, 1)),
        "large": lambda k: ("ecg/v1/bad/large/chunk", _chunk(k, 65_535, 4)),
        "huge": lambda _: ("ecg/v1/bad/huge/chunk", bytes(5_000_000)),
        "names": lambda k: (f"ecg/v1/bad/{k % INVENTED}/chunk", _chunk(k // INVENTED, FS, 1)),
    }
    return _flood(port, seconds, makers[name])


class _Watch:
    """Listens to ingest's heartbeat and samples both processes."""

    def __init__(self, settings: Settings, processes: dict[str, "subprocess.Popen[bytes]"]) -> None:
        self.counters: dict[str, Any] = {}
        self._processes = {name: psutil.Process(each.pid) for name, each in processes.items()}
        self._most_mb = dict.fromkeys(processes, 0.0)
        self._cpu_s: dict[str, float] = {}
        self._began_s = time.monotonic()
        self._n_heard = 0
        self._worst: dict[str, float] = {"backlog": 0}
        self._link = MqttLink(settings.broker_address, "hostile-watch")
        self._link.subscribe(SERVICES, 0)
        self._link.connect()

    def listen(self, seconds: float) -> None:
        """Take heartbeats and samples for a while."""
        self.until(lambda: False, seconds)

    def until(self, is_done: Callable[[], bool], within_s: float) -> bool:
        """The same until something is so; False when it was not in time."""
        ends_s = time.monotonic() + within_s
        while not is_done():
            if time.monotonic() > ends_s:
                return False
            for message in self._link.poll(0.2):
                if message.topic == service_topic("ingest") and message.payload:
                    self._n_heard += 1
                    self.counters = msgspec.json.decode(message.payload).get("counters", self.counters)
                    self._worst["backlog"] = max(self._worst["backlog"], self.counters["backlog"])
            self._sample()
        return True

    def until_drained(self, within_s: float) -> float | None:
        """Seconds until three heartbeats told of nothing new and no backlog; None when they did not."""
        began_s, before, quiet = time.monotonic(), -1, 0
        while time.monotonic() - began_s < within_s:
            heard = self._n_heard
            self.until(partial(self._has_heard_more, heard), 10.0)
            taken = sum(self.counters[name] for name in ("chunks", "refused", "over_limit", "flapping"))
            is_quiet = self._n_heard > heard and taken == before and not self.counters["backlog"]
            before, quiet = taken, quiet + 1 if is_quiet else 0
            if quiet == 3:
                return round(time.monotonic() - began_s, 1)
        return None

    def _has_heard_more(self, than: int) -> bool:
        return self._n_heard > than

    def figures(self) -> dict[str, Any]:
        """Peak memory, mean CPU share, ingest's last counters."""
        span_s = time.monotonic() - self._began_s
        told = ("chunks", "refused", "over_limit", "flapping", "crowded", "devices", "faults", "limits")
        return {
            "peak_mb": {name: round(mb) for name, mb in self._most_mb.items()},
            "cpu_share": {name: round(each / span_s, 2) for name, each in self._cpu_s.items()},
            "backlog": self._worst["backlog"],
            "ingest": {name: self.counters.get(name) for name in told},
            "chunk_stored_ms": self.counters.get("chunk_stored_ms"),
        }

    def _sample(self) -> None:
        for name, each in self._processes.items():
            self._most_mb[name] = max(self._most_mb[name], each.memory_info().rss / 1e6)
            times = each.cpu_times()
            self._cpu_s[name] = times.user + times.system


def _attack_beside(name: str, seconds: float, settings: Settings, watch: _Watch) -> dict[str, int]:
    if name == "quiet":
        watch.listen(seconds)
        return {}
    port = settings.broker_address[1]
    command = [sys.executable, "-m", "benchmarks.hostile", "--attack", name, "--seconds", str(seconds)]
    with subprocess.Popen([*command, "--as-client", str(port)], stdout=subprocess.PIPE, text=True) as client:
        watch.until(lambda: client.poll() is not None, seconds + 60.0)
        told, _ = client.communicate(timeout=10.0)
    found: dict[str, int] = json.loads(told)
    return found


def _flood(port: int, seconds: float, publication: Publication) -> dict[str, int]:
    """As fast as the broker takes them, without waiting for what it acknowledges."""
    n_sent, n_bytes, n_acknowledged, ends_s = 0, 0, 0, time.monotonic() + seconds
    with _connected(port, "hostile") as link:
        link.settimeout(0.0)
        unsent = memoryview(b"")
        while time.monotonic() < ends_s:
            if not unsent:
                burst = bytearray()
                while len(burst) < BURST_BYTES:
                    topic, payload = publication(n_sent)
                    burst += _publish(topic, payload, mid=n_sent % 65_535 + 1)
                    n_sent += 1
                unsent = memoryview(bytes(burst))
            readable, writable, _ = select.select([link], [link], [], 0.1)
            try:
                if readable:
                    got = len(link.recv(1 << 16))
                    if not got:
                        break
                    n_acknowledged += got
                if writable:
                    n = link.send(unsent)
                    n_bytes, unsent = n_bytes + n, unsent[n:]
            except ConnectionError:
                break
    return {"sent": n_sent, "bytes": n_bytes, "acknowledged": n_acknowledged // 4}


def _reconnect(port: int, seconds: float) -> dict[str, int]:
    """Connect, change the retained status, break off."""
    n_sent, ends_s = 0, time.monotonic() + seconds
    while time.monotonic() < ends_s:
        try:
            with _connected(port, "hostile") as link:
                status = b'{"online":true,"battery":%d}' % (n_sent % 101)
                link.sendall(_publish("ecg/v1/bad/flap/status", status, mid=1, retain=True))
                link.recv(4)
                n_sent += 1
        except OSError:
            continue
    return {"sent": n_sent}


def _chunk(k: int, n: int, n_leads: int) -> bytes:
    """The k-th of a stream of constant chunks that each continue the last."""
    wall_us = 1_790_000_000_000_000 + k * n * 1_000_000 // FS
    header = HEADER.pack(
        MAGIC, 1, 0, Encoding.INT16, n_leads, 1, 0, 1, k & 0xFFFFFFFF, k * n, wall_us, 0, FS * 1000, n, 1000
    )  # fmt: skip
    return header + bytes(2 * n * n_leads)


@contextmanager
def _connected(port: int, client_id: str) -> Iterator[socket.socket]:
    """A bare MQTT 3.1.1 connection: a library would spare the broker."""
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2, "big") + name
    with socket.create_connection(("127.0.0.1", port), 10.0) as link:
        link.sendall(b"\x10" + bytes([len(body)]) + body)
        link.recv(4)
        yield link


def _publish(topic: str, payload: bytes, *, mid: int, retain: bool = False) -> bytes:
    name = topic.encode()
    left = 2 + len(name) + 2 + len(payload)
    size = bytearray()
    while left >= 128:
        size.append(left & 127 | 128)
        left >>= 7
    size.append(left)
    head = bytes([0x32 | retain]) + size + len(name).to_bytes(2, "big") + name + mid.to_bytes(2, "big")
    return head + payload


def _wristlead(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "wristlead", *arguments]


@contextmanager
def _process(command: list[str], settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, **settings.as_environment()}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30.0)
        except subprocess.TimeoutExpired:
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_listening(address: tuple[str, int]) -> None:
    ends_s = time.monotonic() + 10.0
    while True:
        try:
            socket.create_connection(address, 1.0).close()
        except OSError:
            if time.monotonic() > ends_s:
                raise SystemExit(f"no broker listens on {address} after 10 s") from None
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
