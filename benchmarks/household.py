"""A whole house as a user starts it, `wristlead run`, with a fleet on it; both watched from outside."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import psutil

from benchmarks.soak import services
from ingest.link import LinkError, MqttLink
from ingest.settings import Settings, load_settings
from ingest.topics import SERVICES

UP_WITHIN_S = 90.0  # all services on a machine that does much else
END_WITHIN_S = 30.0
BROKER_UP_WITHIN_S = 30.0
CORE_SERVICES = ("ingest", "inference", "alarms")
INITDB_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # Debian's place, off the path
POSTGRES_UP_WITHIN_S = 30.0


def free_port() -> int:
    """A port that is free and, below the range for outgoing connections, stays so."""
    while True:
        port = 20_000 + secrets.randbelow(12_768)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def settings_in(folder: Path, store_url: str | None = None, **others: Any) -> Settings:
    """A house of its own: free ports, its data in `folder`."""
    return load_settings(
        data_dir=folder,
        broker_port=free_port(),
        dashboard_port=free_port(),
        store_url=store_url,
        log_level="WARNING",
        **{"metrics_port": "none", **others},
    )


@dataclass
class Household:
    """`wristlead run` and, once told, `wristlead simulate --fleet`; a context, at whose end both are gone."""

    settings: Settings
    log: Path  # what the services say on stderr
    beats: dict[str, dict[str, Any]] = field(default_factory=dict)  # the newest heartbeat of each service
    environment: dict[str, str] = field(default_factory=dict)  # beside ours and the settings
    _run: subprocess.Popen[bytes] | None = None
    _fleet: subprocess.Popen[bytes] | None = None
    _link: MqttLink | None = None

    def __enter__(self) -> Self:
        """Start everything and wait until the services say that they are there; else SystemExit."""
        self._run = self._start("run", "--no-browser")
        self._link = MqttLink(self.settings.broker_address, "wristlead-household")
        self._link.subscribe(SERVICES, 0)
        try:
            self._link.connect(BROKER_UP_WITHIN_S)
        except LinkError as error:
            self._end()
            raise SystemExit(f"{error} (see {self.log})") from None
        end_s = time.monotonic() + UP_WITHIN_S
        while not all(self.beats.get(name, {}).get("online") for name in CORE_SERVICES):
            self.listen(0.2)
            if time.monotonic() > end_s or self._run.poll() is not None:
                self._end()
                raise SystemExit(
                    f"the services did not all come up within {UP_WITHIN_S:.0f} s: see {self.log}"
                )
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End the fleet and all services, politely."""
        self.end_fleet()
        if self._link is not None:
            self._link.close()
        self._end()

    def start_fleet(self, n_watches: int, published_log: Path, chunk_ms: int = 1000) -> None:
        """The watches; wait until the broker has acknowledged the first chunk, else SystemExit."""
        options = (
            "--fleet",
            str(n_watches),
            "--published-log",
            str(published_log),
            "--chunk-ms",
            str(chunk_ms),
        )
        self._fleet = self._start("simulate", *options)
        end_s = time.monotonic() + UP_WITHIN_S
        while not published_log.exists() or published_log.read_bytes().count(b"\n") < 2:  # one is its header
            self.processes()  # all run
            if time.monotonic() > end_s:
                raise SystemExit(f"no watch was acknowledged within {UP_WITHIN_S:.0f} s: see {self.log}")
            self.listen(0.1)

    def end_fleet(self) -> None:
        """Wait for the last acknowledgements; nothing when there is none."""
        if self._fleet is not None:
            self._fleet.send_signal(signal.SIGTERM)
            self._fleet.wait(END_WITHIN_S)
            self._fleet = None

    def listen(self, seconds: float) -> None:
        """Hear heartbeats for a while; also while the broker is away."""
        end_s = time.monotonic() + seconds
        while self._link is not None and (left_s := end_s - time.monotonic()) > 0:
            for message in self._link.poll(min(left_s, 0.1)):
                with contextlib.suppress(msgspec.DecodeError):
                    self.beats[message.topic.rpartition("/")[2]] = msgspec.json.decode(message.payload)

    def counter(self, service: str, name: str) -> Any:
        """A counter of the newest heartbeat; None when it was not said."""
        return self.beats.get(service, {}).get("counters", {}).get(name)

    def processes(self) -> dict[str, psutil.Process]:
        """The running services by name, the broker among them."""
        if self._run is None or self._run.poll() is not None:
            raise SystemExit(f"wristlead run has ended by itself: see {self.log}")
        if self._fleet is not None and self._fleet.poll() is not None:
            raise SystemExit(f"the fleet has ended by itself: see {self.log}")
        return services(psutil.Process(self._run.pid))

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **self.settings.as_environment(), **self.environment}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "wristlead", *command], env=environment, stderr=log, stdout=log
            )

    def _end(self) -> None:
        if self._run is None:
            return
        self._run.send_signal(signal.SIGTERM)
        try:
            self._run.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._run.kill()  # its services notice and end themselves
            self._run.wait()


class PostgresServer:
    """A PostgreSQL of its own in a folder, on a socket there, with the settings that it comes with."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("initdb") or next((str(p / "initdb") for p in reversed(INITDB_FOLDERS)), None)
        if found is None:
            raise SystemExit("PostgreSQL is not installed (Debian: apt install postgresql)")
        self._bin = Path(found).resolve().parent
        self._user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        self._folder = folder
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._call(
            "initdb", "--auth=trust", "--username=wristlead", "--encoding=UTF8", f"--pgdata={self._data}"
        )
        self._server: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Its database, for SQLAlchemy."""
        return f"postgresql+psycopg://wristlead@/postgres?host={self._folder}"

    @property
    def pid(self) -> int | None:
        """The server's first process; None while it is down."""
        return None if self._server is None or self._server.poll() is not None else self._server.pid

    def start(self) -> None:
        """Start it and wait until it takes connections; what a kill left of it ends first."""
        end_s = time.monotonic() + POSTGRES_UP_WITHIN_S
        while time.monotonic() < end_s:
            if self.pid is None:
                self._spawn()
            with contextlib.suppress(subprocess.CalledProcessError):
                self._call("pg_isready", f"--host={self._folder}")
                return
            time.sleep(0.1)
        raise SystemExit(f"PostgreSQL did not start: see {self._folder / 'log'}")

    def stop(self) -> None:
        """End it at once."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(END_WITHIN_S)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _spawn(self) -> None:
        command = [str(self._bin / "postgres"), "-D", str(self._data), "-k", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*command, "-c", "listen_addresses="], stderr=log, stdout=log, cwd="/", **self._as_user()
            )

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        subprocess.run(
            command,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **self._as_user(),
        )

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user, "group": self._user, "extra_groups": []}


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """One in a temporary folder; short, as a socket's path has at most 107 bytes."""
    folder = Path(f"/tmp/wlpg{secrets.token_hex(4)}")  # noqa: S108 - readable by PostgreSQL's own user
    folder.mkdir(mode=0o755)
    server = None
    try:
        server = PostgresServer(folder)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
