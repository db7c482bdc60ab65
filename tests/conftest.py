"""What many tests need: a real broker, a real browser, and a word when this machine has neither."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import chain, groupby, zip_longest
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import create_engine, make_url, text

from ingest.link import MqttLink
from tests.postgres import INITDB, cluster

# Many houses run at once here; a test of metrics chooses ports of its own.
os.environ.setdefault("WRISTLEAD_METRICS_PORT", "none")

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
SERVICES_SPEAK = [f"wl/v1/service/{each}" for each in ("ingest", "inference", "alarms", "dashboard")]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET_CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; skip what this machine cannot run."""
    items[:] = long_files_first(items)
    skip_what_cannot_run(items)


def long_files_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """Files with a browser or broker in turn with the others: the last minute waits for none of them."""
    files = [list(file) for _, file in groupby(items, key=lambda item: item.path)]
    longs = [file for file in files if any(map(takes_long, file))]
    others = [file for file in files if not any(map(takes_long, file))]
    in_turn = chain.from_iterable(zip_longest(longs, others, fillvalue=[]))
    return list(chain.from_iterable(in_turn))


def takes_long(item: pytest.Item) -> bool:
    return any(map(item.get_closest_marker, ("browser", "broker")))


def skip_what_cannot_run(items: list[pytest.Item]) -> None:
    """In CI nothing is skipped, so that it fails loudly there."""
    if os.environ.get("CI") == "true":
        return
    for item in items:
        if item.get_closest_marker("broker") and MOSQUITTO is None:
            item.add_marker(pytest.mark.skip(reason="needs mosquitto (Debian: apt install mosquitto)"))
        if "postgresql" in getattr(item, "name", "") and INITDB is None:
            item.add_marker(pytest.mark.skip(reason="needs PostgreSQL (Debian: apt install postgresql)"))
        if item.get_closest_marker("browser") and CHROMIUM is None:
            item.add_marker(pytest.mark.skip(reason="needs chromium (Debian: apt install chromium)"))


def find_free_port() -> int:
    """A port that is free and, below the range for outgoing connections, stays so."""
    while True:
        port = 20_000 + secrets.randbelow(12_768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_until_listening(port: int, within_s: float = 40.0) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")


def wait_for_messages(port: int, *topics: str, within_s: float = 60.0) -> None:
    """Until the broker at this port has brought a message, not a retained one, on each of these topics."""
    wait_until_listening(port, within_s)
    link, awaited = MqttLink(("127.0.0.1", port), f"test-{secrets.token_hex(4)}"), set(topics)
    for topic in topics:
        link.subscribe(topic)
    deadline = time.monotonic() + within_s
    while awaited:
        assert time.monotonic() < deadline, f"nothing came on {awaited}"
        awaited -= {message.topic for message in link.poll(0.1) if not message.retained}
    link.close()


@pytest.fixture
def free_port() -> int:
    return find_free_port()


class Mosquitto:
    """A real broker on a free loopback port that a test can kill and start again."""

    def __init__(self, folder: Path) -> None:
        self.port = find_free_port()
        self.address = ("127.0.0.1", self.port)
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
            f"persistence true\npersistence_location {folder}/\nautosave_interval 1\n"
            "max_inflight_messages 0\nmax_queued_messages 100000\nlog_type error\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it listens."""
        self._process = subprocess.Popen([str(MOSQUITTO), "-c", str(self._config)], stderr=subprocess.DEVNULL)
        wait_until_listening(self.port)

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "mosquitto"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)  # as root it drops to its own user
    broker = Mosquitto(folder)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL of this test run's own."""
    with cluster() as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql: str) -> Iterator[str]:
    """A database in it for one test alone."""
    name = f"test_{secrets.token_hex(4)}"
    engine = create_engine(postgresql, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(postgresql).set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind; the test runs on both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite'}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET_CHROMIUM))
        yield browser
        browser.close()
