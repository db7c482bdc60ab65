"""The process that reads and judges recordings, as the web server sees it: jobs in, answers out, a clock.

It is started when it is first needed, does one job at a time, and is killed when it says nothing for too long
or when who asked has gone: then the next job starts it anew.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import msgspec

SILENT_S = 900.0  # between two answers; 6 h at 256 Hz take 39 s on a machine with four times its work
JOB_S = 3600.0
MAX_LINE = 1 << 20
COMMAND = (sys.executable, "-m", "inference.recordings.worker")


class WorkerError(Exception):
    """A job was not done; the message says why, for people."""


class RecordingWorker:
    """One process; whoever asks while it works waits."""

    def __init__(self, environment: Mapping[str, str], command: tuple[str, ...] = COMMAND) -> None:
        self._environment = {**environment, "OMP_NUM_THREADS": "1"}
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    async def ask(self, job: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Its answers, without the last; raises WorkerError."""
        async with self._lock:
            process = await self._ready()
            is_done = False
            try:
                async with asyncio.timeout(JOB_S):
                    async for told in _answers(process, job):
                        if "end" in told or "error" in told:
                            is_done = True
                        if "error" in told:
                            raise WorkerError(str(told["error"]))
                        if "end" not in told:
                            yield told
            except TimeoutError:
                raise WorkerError("reading it took too long and was given up") from None
            finally:
                if not is_done:
                    await self._kill()

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    async def close(self) -> None:
        """End the process."""
        await self._kill()

    async def _ready(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is its parent's
                limit=MAX_LINE,
            )
        return self._process

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _answers(
    process: asyncio.subprocess.Process, job: Mapping[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """Each line until the last."""
    died = WorkerError("the process that reads recordings died, most likely for want of memory")
    if process.stdin is None or process.stdout is None:
        raise died
    try:
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        await process.stdin.drain()
    except OSError:
        raise died from None
    while True:
        line = await asyncio.wait_for(process.stdout.readline(), SILENT_S)
        if not line.endswith(b"\n"):
            raise died
        told: dict[str, Any] = msgspec.json.decode(line)
        yield told
        if "end" in told or "error" in told:
            return
