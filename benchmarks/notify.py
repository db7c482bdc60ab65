"""From an alarm on MQTT to the HTTP request of its message, in the real service on a real broker.

    python -m benchmarks.notify --json

Mosquitto, `wristlead notify` and a server on loopback that stands in for a webhook, all on this machine. High
alarms of different patients come one after the other, then 50 at once. Beside the webhook a second channel
leads to a server that never answers. Times are by this process's monotonic clock, from handing the alarm to
the MQTT client to reading the request: what a message then needs on its way to a phone is not in them.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import msgspec
import psutil

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from ingest.link import MqttLink
from ingest.topics import CHANNELS, alarm_topic

BROKER_PORT = 18873
START_S = 60.0  # longest wait for broker and service
BETWEEN_S = 0.1  # from one request to the next alarm
BURST = 50

Request = tuple[float, dict[str, Any]]  # monotonic seconds, JSON body


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--alarms", type=int, default=100, help="one after the other (default: 100)")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.alarms)
    print(json.dumps(figures, indent=None if options.json else 2))


def measure(folder: Path, n_alarms: int) -> dict[str, Any]:
    """Start everything, raise alarms, and wait for each request."""
    came: Queue[Request] = Queue()
    with server(came, is_hanging=False) as port, server(Queue(), is_hanging=True) as hanging:
        write_channels(folder / "channels.toml", port, hanging)
        with started(broker_command(folder)), started(notify_command(folder)) as notify:
            link = connected()
            single_s = [latency_s(link, came, number) for number in range(n_alarms)]
            burst = burst_figures(link, came, n_alarms)
            cpu = psutil.Process(notify.pid).cpu_times()
            link.close()
    single_s.sort()
    return {
        "load": round(psutil.getloadavg()[0], 1),
        "alarms": n_alarms,
        "alarm_to_request_ms": {
            "p50": round(statistics.median(single_s) * 1e3, 1),
            "p95": round(single_s[int(0.95 * (n_alarms - 1))] * 1e3, 1),
            "max": round(single_s[-1] * 1e3, 1),
        },
        "burst": burst,
        "notify_cpu_s": round(cpu.user + cpu.system, 2),
    }


def latency_s(link: MqttLink, came: "Queue[Request]", number: int) -> float:
    """One alarm, from handing it to the client to the request that names its patient."""
    time.sleep(BETWEEN_S)
    begin_s = raise_alarm(link, number)
    while came.empty():
        link.poll(0.001)
    at_s, body = came.get()
    if f"bed-{number}" not in body["title"]:
        raise RuntimeError(f"the request for bed-{number} has the title {body['title']!r}")
    return at_s - begin_s


def burst_figures(link: MqttLink, came: "Queue[Request]", first: int) -> dict[str, Any]:
    """Many alarms at once: how many messages they make, and when the last of the alarms was told."""
    begin_s, *_ = [raise_alarm(link, number) for number in range(first, first + BURST)]
    told, messages, at_s = 0, 0, begin_s
    while told < BURST:
        link.poll(0.001)
        if not came.empty():
            at_s, body = came.get()
            messages += 1
            told += int(body["title"].split()[1]) if " alarms (" in body["title"] else 1
    return {"alarms": BURST, "messages": messages, "last_told_ms": round((at_s - begin_s) * 1e3, 1)}


def raise_alarm(link: MqttLink, number: int) -> float:
    """Publish a high alarm as the alarm service does; returns when."""
    now_us = time.time_ns() // 1000
    device = f"icu/bed-{number}"
    alarm = Alarm(
        device,
        AlarmKind.ASYSTOLE,
        AlarmQueue.PHYSIOLOGICAL,
        AlarmPriority.HIGH,
        AlarmState.ON,
        "ASYSTOLE 4 s",
        now_us,
        now_us,
    )
    begin_s = time.monotonic()
    link.publish(alarm_topic(device, alarm.kind), msgspec.json.encode(alarm), retain=True)
    return begin_s


def write_channels(path: Path, port: int, hanging: int) -> None:
    """A webhook without a limit that would show, and one that never answers."""
    tables = [
        f'[[channel]]\nname = "{name}"\nurl = "json://127.0.0.1:{number}/"\nburst = 1000\nper_minute = 1000\n'
        for name, number in (("webhook", port), ("hanging", hanging))
    ]
    path.write_text("\n".join(tables))


@contextmanager
def server(came: "Queue[Request]", *, is_hanging: bool) -> Iterator[int]:
    """A stand-in for a webhook; its port."""
    let_go = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.put((time.monotonic(), json.loads(body)))
            if is_hanging:
                let_go.wait(600)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Figures alone are printed."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_arguments: object) -> None:
            """A client that gave up is expected."""

    with Quiet(("127.0.0.1", 0), Handler) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one.server_address[1]
        let_go.set()
        one.shutdown()


def connected() -> MqttLink:
    """A client, once the notifier has said what its channels do."""
    link = MqttLink(("127.0.0.1", BROKER_PORT), "notify-benchmark")
    link.subscribe(CHANNELS)
    link.connect(START_S)
    deadline = time.monotonic() + START_S
    told: set[str] = set()
    while len(told) < 2:
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"after {START_S:g} s the notifier has told of {sorted(told)}, want two channels"
            )
        told |= {message.topic for message in link.poll(0.05)}
    return link


def broker_command(folder: Path) -> list[str]:
    """Mosquitto on a port of our own."""
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if mosquitto is None:
        raise SystemExit("this needs mosquitto (Debian: apt install mosquitto)")
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {BROKER_PORT} 127.0.0.1\nallow_anonymous true\nlog_type error\n")
    return [mosquitto, "-c", str(config)]


def notify_command(folder: Path) -> list[str]:
    """The notifier with those channels."""
    options = ["--broker", f"127.0.0.1:{BROKER_PORT}", "--data-dir", str(folder), "--metrics-port", "none"]
    channels = ["--notify-config", str(folder / "channels.toml"), "--log-level", "ERROR"]
    return [sys.executable, "-m", "wristlead", "notify", *options, *channels]


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process while it is needed; a broker is waited for."""
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        try:
            deadline = time.monotonic() + START_S
            while "mosquitto" in command[0] and time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", BROKER_PORT)) == 0:
                        break
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
