"""A whole Apple export: from starting the command to its last verdict.

    python -m benchmarks.recordings --ecgs 500 --json

Makes a synthetic export.zip of that many ECGs of 30 s at 512.414 Hz, beside an export.xml that nobody may
open, and runs `wristlead classify` on it, as a person would, with as many processes as --jobs says (2). With
--report also into an HTML report. Exits non-zero when one was not judged, or it took longer than --limit
seconds (60).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.recording_files import write_export_zip

CORES = 2


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ecgs", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=CORES)
    parser.add_argument("--limit", type=float, default=60.0, metavar="S")
    parser.add_argument("--report", action="store_true", help="write a report too")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(list(os.sched_getaffinity(0))[:CORES]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.zip"
        write_export_zip(path, options.ecgs)
        figures = measure(path, options.ecgs, options.jobs, with_report=options.report)
    print(json.dumps(figures, indent=None if options.json else 2))
    if figures["judged"] != options.ecgs or figures["seconds"] > options.limit:
        raise SystemExit(1)


def measure(path: Path, n: int, jobs: int, *, with_report: bool) -> dict[str, Any]:
    """Run the command once."""
    report = ["--report", str(path.with_name("report.html"))] if with_report else []
    command = [
        sys.executable,
        "-m",
        "wristlead",
        "classify",
        str(path),
        "--jobs",
        str(jobs),
        "--json",
        *report,
    ]
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(done.stdout)["recordings"]
    return {
        "ecgs": n,
        "judged": len({one["identity"] for one in found if one["findings"]}),
        "zip_mb": round(path.stat().st_size / 1e6, 1),
        "seconds": round(seconds, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "ms_an_ecg": round(1000 * seconds / n, 1),
        "jobs": jobs,
        "load_of_others": round(os.getloadavg()[0], 1),
        **(
            {"report_mb": round(path.with_name("report.html").stat().st_size / 1e6, 1)} if with_report else {}
        ),
    }


if __name__ == "__main__":
    main()
