"""A PostgreSQL for the tests: a cluster in a temporary folder, reached by a socket there, ended with them."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))  # Debian's place, off the path
INITDB = shutil.which("initdb") or (str(FOUND[-1]) if FOUND else None)
USER = "postgres" if os.name == "posix" and os.geteuid() == 0 else None  # it refuses to run as root


@contextmanager
def cluster() -> Iterator[str]:
    """Start a cluster; the URL of its database `postgres`."""
    folder = Path(tempfile.mkdtemp(prefix="wlpg"))  # short: a socket's path has at most 107 bytes
    if USER is not None:
        shutil.chown(folder, USER)
    data = folder / "data"
    run("initdb", "--no-sync", "--auth=trust", "--username=wristlead", "--encoding=UTF8", f"--pgdata={data}")
    options = f"-k {folder} -c listen_addresses= -c fsync=off -c shared_buffers=16MB"
    run("pg_ctl", "start", "--wait", f"--pgdata={data}", f"--log={folder / 'log'}", f"--options={options}")
    try:
        yield f"postgresql+psycopg://wristlead@/postgres?host={folder}"
    finally:
        run("pg_ctl", "stop", "--mode=immediate", f"--pgdata={data}")
        shutil.rmtree(folder, ignore_errors=True)


def run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs as a user it accepts."""
    command = [str(Path(str(INITDB)).with_name(program)), *arguments]
    groups: list[str] | None = [] if USER else None
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, user=USER, group=USER, extra_groups=groups, cwd="/"
    )
