"""Damaged and hostile files through the readers, the model and the reports.

    python -m benchmarks.mutated_files --files 10000 --json

Each file is a small synthetic one of any format, changed by one to four random mutations, and read with
nothing but its name; what is read is judged, summed up and drawn. Exits non-zero when anything but a refusal
with file and reason came of one, or one took longer than 10 s of CPU.
"""

import argparse
import json
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import recording_files as files
from inference.classifier import Classifier
from inference.recordings.html_report import html_report
from inference.recordings.judge import judge
from inference.recordings.report import Part, Report
from inference.recordings.strip import strip_of
from inference.recordings.summary import summary_of
from ingest.recordings import Recording, RecordingError, read_each

SLOW_S = 10.0
MOST_JUDGED = 3  # recordings of one file
SPLIT = b"\n,;:{}[]"
ODD = (
    b"\0",
    b"\xff",
    b"-",
    b"nan",
    b"1e999",
    b"9" * 400,
    b"\xef\xbb\xbf",
    b'"',
    b",,,,",
    b"\xc2\xa0",
    b"[" * 2000,
)


@dataclass(slots=True)
class Findings:
    """What came of a run."""

    files: int = 0
    recordings: int = 0
    refused: int = 0
    by_format: Counter[str] = field(default_factory=Counter)  # of what was read
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0  # of CPU
    slowest: str = ""


def main() -> None:
    """Run, print, and fail on a fault."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    found = run(options.files, options.seed)
    print(json.dumps(figures_of(found), indent=None if options.json else 2))
    if found.faults or found.slowest_s > SLOW_S:
        raise SystemExit(1)


def run(n_files: int, seed: int) -> Findings:
    """Mutate, read and judge so many files."""
    rng, found, classifier = Random(seed), Findings(), Classifier.load()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(n_files):
            path = write_mutated(Path(folder), rng)
            begin = time.process_time()
            try:
                _take(path, classifier, found)
            except Exception:  # noqa: BLE001 - that there is none is what is looked for
                found.faults.append(
                    f"file {number} of seed {seed}, {path.name}: {traceback.format_exc()[-1500:]}"
                )
            seconds = time.process_time() - begin
            if seconds > found.slowest_s:
                found.slowest_s, found.slowest = seconds, path.name
            found.files += 1
    return found


def figures_of(found: Findings) -> dict[str, Any]:
    """What a run says."""
    return {
        "files": found.files,
        "recordings_judged": found.recordings,
        "refused": found.refused,
        "by_format": dict(found.by_format),
        "slowest_cpu_s": round(found.slowest_s, 2),
        "slowest": found.slowest,
        "faults": found.faults[:10],
    }


def write_mutated(folder: Path, rng: Random) -> Path:
    """One damaged file, and what belongs to it; the path that a person would name."""
    name = rng.choice(list(seeds()))
    content = seeds()[name]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = mutated(content, rng)
    path = folder / (f"x{Path(name).suffix}" if rng.random() < 0.95 else "x.bin")
    if name.endswith((".hea", ".dat")):
        whole = {other: seeds()[other] for other in ("r.hea", "r.dat")} | {name: content}
        for other, one in whole.items():
            (folder / other).write_bytes(one)
        return folder / "r.hea"
    path.write_bytes(content)
    return path


def mutated(content: bytes, rng: Random) -> bytes:
    """The same with one change."""
    at, length = rng.randrange(len(content) + 1), min(len(content), int(rng.expovariate(1 / 40)) + 1)
    before, here, after = content[:at], content[at : at + length], content[at + length :]
    number = str(rng.choice((0, -1, 1e308, 2**63, 65536, 0.001))).encode()
    one, other = (bytes([rng.choice(SPLIT)]) for _ in range(2))
    foreign = rng.choice(list(seeds().values()))
    changes: tuple[Callable[[], bytes], ...] = (
        lambda: before,
        lambda: before + after,
        lambda: before + rng.randbytes(length) + after,
        lambda: before + here * rng.randint(2, 30) + after,
        lambda: before + rng.choice(ODD) + here + after,
        lambda: before + foreign[rng.randrange(len(foreign)) :][:4000] + here + after,
        lambda: content.replace(one, other, rng.randint(1, 50)),
        lambda: _flipped(content, rng),
        lambda: before + number + here + after,
    )
    return rng.choice(changes)()


def _flipped(content: bytes, rng: Random) -> bytes:
    """With other bytes in its head."""
    head = bytearray(content)
    for _ in range(rng.randint(1, 8) if head else 0):
        head[rng.randrange(min(len(head), 600))] = rng.randrange(256)
    return bytes(head)


@cache
def seeds() -> dict[str, bytes]:
    """A small file of each format by name."""
    uv = files.ecg_uv(11, 128)
    observation = json.dumps(files.fhir_observation(uv, 128)).encode()
    bundle = {"resourceType": "Bundle", "entry": [{"resource": files.fhir_observation(uv, 128, r5=True)}]}
    samsung_rows = (
        "com.samsung.health.ecg,1,1\ndatauuid,start_time,time_offset,sample_frequency,sample_count,chart_data,\n"
        f'a,2026-07-26 21:56:26.000,UTC+0200,128,{len(uv)},"{uv.tolist()}",\n'
    )
    auto = "Start,2026-07-26 21:56:26 +0200\nSampling Frequency (Hz),128\nVoltage Measurements (mcV),\n"
    found = {
        "apple.csv": files.apple_csv(uv, rate="128 hertz"),
        "comma.csv": files.apple_csv(uv, rate="128 hertz", decimal=","),
        "samsung.csv": files.samsung_csv(files.ecg_uv(11, 500)),
        "samsung_health.csv": samsung_rows.encode(),
        "auto.json": files.health_auto_export(uv, uv[:700], fs=128),
        "auto.csv": (auto + "\n".join(map(str, uv.tolist()))).encode(),
        "polar.txt": files.polar_csv(files.ecg_uv(11, 130)),
        "r4.json": observation,
        "r5.json": json.dumps(bundle).encode(),
        "table.csv": files.table_csv(uv, 128),
        "column.tsv": "\n".join(["fs 128", "ecg_mV", *(f"{v / 1000}" for v in uv.tolist())]).encode(),
        "ecg.json": json.dumps({"fs": 128, "unit": "uV", "ecg": uv.tolist()}).encode(),
        "points.json": json.dumps([{"t_ms": 8 * i, "ecg_uV": v} for i, v in enumerate(uv.tolist())]).encode(),
        "ecg.edf": files.edf({"I": uv, "II": uv}, 128),
        "ecg.bdf": files.edf({"I": uv, "II": uv}, 128, bdf=True),
    }
    with tempfile.TemporaryDirectory() as folder:
        header = files.write_wfdb(Path(folder), "r", {"I": uv, "MLII": uv}, 128)
        found |= {"r.hea": header.read_bytes(), "r.dat": header.with_suffix(".dat").read_bytes()}
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("apple_health_export/electrocardiograms/a.csv", found["apple.csv"])
        file.writestr("apple_health_export/electrocardiograms/b.csv", found["comma.csv"])
    return found | {"export.zip": archive.getvalue()}


def _take(path: Path, classifier: Classifier, found: Findings) -> None:
    for number, one in enumerate(read_each(path)):
        if isinstance(one, RecordingError):
            found.refused += 1
            if not (one.file and one.reason):
                raise AssertionError(f"refused without its file or its reason: {one!r}")
        elif number < MOST_JUDGED:
            _judge(one, classifier)
            found.recordings += 1
            found.by_format[one.format] += 1


def _judge(recording: Recording, classifier: Classifier) -> None:
    judged = judge(recording, classifier)
    part = Part(summary_of(judged), strip_of(judged))
    html_report(Report(datetime(2026, 7, 26, tzinfo=UTC), [part], []))


if __name__ == "__main__":
    main()
