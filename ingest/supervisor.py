"""Starts the services as processes, restarts the dead with back-off, and says so.

A service that refuses to start (exit code `EXIT_REFUSED`, after one clear sentence of its own) is not
started again: the supervisor stops everything instead, unless the service is one that others can do without.
"""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import psutil

EXIT_REFUSED = 78  # EX_CONFIG of sysexits.h: trying again cannot help
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 5.0
STEADY_S = 10.0  # a service that lived this long starts again at once
STOP_WAIT_S = 8.0
PARENT_CHECK_S = 1.0

logger = logging.getLogger(__name__)


class ServiceRefusedError(RuntimeError):
    """A service ended with EXIT_REFUSED at its first start; it has already said why."""


@dataclass(slots=True)
class _Service:
    """One supervised process and what it used, over all its lives."""

    command: Sequence[str]
    started: Callable[[int], None] = lambda _pid: None
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    restart_at_s: float = 0.0
    backoff_s: float = BACKOFF_FIRST_S
    is_wanted: bool = True
    is_optional: bool = False
    restarts: int = 0
    cpu_of_dead_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_mb: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Keeps a fixed set of named commands running, in the order they were added."""

    environment: Mapping[str, str]
    _services: dict[str, _Service] = field(default_factory=dict)

    def add(
        self,
        name: str,
        command: Sequence[str],
        *,
        is_optional: bool = False,
        started: Callable[[int], None] = lambda _pid: None,
    ) -> None:
        """Start `command` under `name`; an optional service that refuses stays down, and the others go on.

        `started` is called with the process id right after each start.
        """
        self._services[name] = _Service(command, started, is_optional=is_optional)
        self._start(name)

    def watch(self) -> list[str]:
        """Restart what died; return the names that were started again. Call it a few times a second.

        Raises ServiceRefusedError when a service that is not optional refused its very first start.
        """
        now = time.monotonic()
        restarted = []
        for name, service in self._services.items():
            if service.process is not None:
                self._observe(name, service, now)
            if service.is_wanted and service.process is None and now >= service.restart_at_s:
                service.restarts += 1
                self._start(name)
                restarted.append(name)
        return restarted

    def stop(self, *names: str) -> None:
        """End the named services, or all, politely and in reverse order of start; then by force."""
        for name in names or tuple(reversed(self._services)):
            service = self._services[name]
            service.is_wanted = False
            if service.process is None:
                continue
            self._measure(service.process.pid, service)
            service.process.send_signal(signal.SIGTERM)
            try:
                service.process.wait(STOP_WAIT_S)
            except subprocess.TimeoutExpired:
                logger.warning("%s did not end within %.0f s and was killed", name, STOP_WAIT_S)
                service.process.kill()
                service.process.wait()
            service.process = None

    def pid(self, name: str) -> int | None:
        """Process id of a running service; None while it is down."""
        process = self._services[name].process
        return None if process is None else process.pid

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds of each service, all its lives together."""
        return {name: s.cpu_of_dead_s + s.cpu_s for name, s in self._services.items()}

    def peak_rss_mb(self) -> dict[str, float]:
        """Largest resident memory seen of each service, MB."""
        return {name: s.peak_rss_mb for name, s in self._services.items()}

    def restarts(self) -> dict[str, int]:
        """How often each service had to be started again."""
        return {name: s.restarts for name, s in self._services.items()}

    def _start(self, name: str) -> None:
        service = self._services[name]
        # A session of its own: Ctrl-C reaches the supervisor alone, which then ends services in order.
        service.process = subprocess.Popen(  # noqa: S603 - commands are the product's own
            list(service.command), env={**os.environ, **self.environment}, start_new_session=True
        )
        service.started_s = time.monotonic()
        service.started(service.process.pid)

    def _observe(self, name: str, service: _Service, now: float) -> None:
        process = service.process
        if process is None:
            return
        code = process.poll()
        if code is None:
            self._measure(process.pid, service)
            return
        service.process = None
        service.cpu_of_dead_s += service.cpu_s
        service.cpu_s = 0.0
        if code == EXIT_REFUSED and service.restarts == 0:
            if not service.is_optional:
                raise ServiceRefusedError(name)
            service.is_wanted = False
            logger.warning("%s cannot work here (see above); everything else goes on without it", name)
            return
        if now - service.started_s >= STEADY_S:
            service.backoff_s = BACKOFF_FIRST_S
        service.restart_at_s = now + service.backoff_s
        reason = f"signal {-code}" if code < 0 else f"exit code {code}"
        logger.warning("%s ended (%s); starting it again in %.1f s", name, reason, service.backoff_s)
        service.backoff_s = min(2 * service.backoff_s, BACKOFF_MAX_S)

    @staticmethod
    def _measure(pid: int, service: _Service) -> None:
        try:
            process = psutil.Process(pid)
            times = process.cpu_times()
            service.cpu_s = times.user + times.system
            service.peak_rss_mb = max(service.peak_rss_mb, process.memory_info().rss / 1e6)
        except psutil.NoSuchProcess:
            return  # it ended between two looks; the next look counts it


def end_with_parent() -> None:
    """End this process when the one that started it is gone, so that a killed supervisor leaves nothing."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
