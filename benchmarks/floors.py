"""What receiving and storing cost at least on this machine: the floors ingest is compared with.

    python -m benchmarks.floors --broker 127.0.0.1:1883 --seconds 10

Two loops that do nothing else: one receives every device's chunks with paho on stdlib `selectors` and
acknowledges each by hand (QoS 1), one writes the same payloads into one SQLite table, a transaction for each
100 ms of a fleet, synchronous=FULL. Both tell messages per second of their own CPU time. Beside them `link`:
the first loop once more with ingest's own link, which is the part of ingest that it can be compared with.
"""

import argparse
import json
import selectors
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.link import MqttLink
from ingest.service import GATHER_S
from ingest.topics import DEVICE_CHUNKS
from simulators.faults import NO_FAULTS
from simulators.rings import build_rings
from simulators.watch import Shape, Watch

MISC_EVERY_S = 0.5
BATCHES = 100
BATCHES_PER_S = 10


def main() -> None:
    """Print both floors; something must publish on the broker meanwhile."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--broker", required=True, help="host:port, with a fleet publishing there")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument(
        "--devices", type=int, default=1000, help="of the fleet, for the size of a transaction"
    )
    options = parser.parse_args()
    host, _, port = options.broker.rpartition(":")
    figures = {
        "receive": receive_floor((host, int(port)), options.seconds),
        "link": link_floor((host, int(port)), options.seconds),
        "sqlite": sqlite_floor(options.devices),
    }
    print(json.dumps(figures, indent=2))


def receive_floor(address: tuple[str, int], seconds: float) -> dict[str, float | None]:
    """Receive and acknowledge for a while; messages a second, and per second of this thread's CPU time."""
    taken = 0

    def take(client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        nonlocal taken
        taken += 1
        client.ack(message.mid, message.qos)

    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, "wristlead-floor", protocol=MQTTProtocolVersion.MQTTv311, manual_ack=True
    )
    client.on_message = take
    client.on_connect = lambda client, *_: _subscribe(client)
    client.connect(*address)
    cpu_s, began_s, n_before = 0.0, 0.0, 0
    with selectors.DefaultSelector() as selector:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and client.socket() is not None:
            _turn(client, selector)
            if began_s == 0.0 and taken:
                cpu_s, began_s, n_before = time.thread_time(), time.monotonic(), taken
        spent_s, took_s = time.thread_time() - cpu_s, time.monotonic() - began_s
    client.disconnect()
    return {
        "messages_per_s": round((taken - n_before) / took_s, 1) if began_s else None,
        "messages_per_cpu_s": round((taken - n_before) / spent_s, 1) if began_s else None,
    }


def link_floor(address: tuple[str, int], seconds: float) -> dict[str, float | None]:
    """The same with ingest's link, as ingest drives it; acknowledged as it comes, without a store."""
    link = MqttLink(address, "wristlead-link-floor", manual_ack=True, gather_s=GATHER_S)
    link.subscribe(DEVICE_CHUNKS)
    link.connect()
    n, cpu_s, began_s, end_s = 0, 0.0, 0.0, time.monotonic() + seconds
    while time.monotonic() < end_s:
        messages = link.poll(MISC_EVERY_S)
        link.acknowledge(*messages)
        if began_s:
            n += len(messages)
        elif messages:
            cpu_s, began_s = time.thread_time(), time.monotonic()
    spent_s, took_s = time.thread_time() - cpu_s, time.monotonic() - began_s
    link.close()
    return {
        "messages_per_s": round(n / took_s, 1) if began_s else None,
        "messages_per_cpu_s": round(n / spent_s, 1) if began_s else None,
    }


def _subscribe(client: mqtt.Client) -> None:
    client.subscribe(DEVICE_CHUNKS, 1)


def _turn(client: mqtt.Client, selector: selectors.BaseSelector) -> None:
    sock: Any = client.socket()
    if not selector.get_map():
        selector.register(sock, selectors.EVENT_READ)
    if selector.select(MISC_EVERY_S):
        client.loop_read()
    if client.want_write():
        client.loop_write()
    if time.monotonic() % MISC_EVERY_S < 0.05:
        client.loop_misc()


def sqlite_floor(n_devices: int) -> dict[str, float]:
    """Write a fleet's chunks as they come in 100 ms, again and again; chunks per second of CPU time."""
    rows = fleet_rows(max(1, n_devices // BATCHES_PER_S))
    with tempfile.TemporaryDirectory(prefix="wristlead-floor-") as folder:
        connection = sqlite3.connect(Path(folder) / "floor.sqlite")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(
            "CREATE TABLE chunk (device TEXT, session INTEGER, first_sample INTEGER, received_us INTEGER, "
            "payload BLOB, PRIMARY KEY (device, session, first_sample)) WITHOUT ROWID"
        )
        took_ms = []
        cpu_s = time.process_time()
        for batch in range(BATCHES):
            began_s = time.perf_counter()
            placed = [(device, 7, batch * 512, batch, payload) for device, payload in rows]
            with connection:
                connection.executemany("INSERT INTO chunk VALUES (?, ?, ?, ?, ?)", placed)
            took_ms.append(1000 * (time.perf_counter() - began_s))
        cpu_s = time.process_time() - cpu_s
        connection.close()
    p50_ms, p99_ms = np.percentile(took_ms, (50, 99))
    return {
        "chunks_per_cpu_s": round(BATCHES * len(rows) / cpu_s, 1),
        "batch": len(rows),
        "commit_ms_p50": round(float(p50_ms), 2),
        "commit_ms_p99": round(float(p99_ms), 2),
    }


def fleet_rows(n: int) -> Sequence[tuple[str, bytes]]:
    """`n` devices with a payload of a second each, as the fleet sends them."""
    rng = np.random.default_rng(0)
    rings = build_rings(rng)
    shape = Shape(1.0, NO_FAULTS, 1.79e9)
    rows = []
    for number in range(n):
        device = f"fleet/watch-{number:05d}"
        ring = rings[number % len(rings)]
        watch = Watch(device, session=7, ring=ring, offset=number * 997, start_s=0.0, shape=shape, rng=rng)
        rows.append((device, watch.payload(number)))
    return rows


if __name__ == "__main__":
    main()
