"""Windows classified per second on one core, against four peers, in one run.

    python -m benchmarks.inference --json

A real 10 s recording at 512 Hz, in as many gains and noises as the batch is long, goes through
- `wristlead`: Classifier.classify, the whole path from windows to verdicts,
- `starting_project` and `starting_project_onnx`: the pipeline of benchmarks/peers/starting_project.py, by
  eager torch as it ran, and by onnxruntime so that the ratio is not only the runtime's,
- `twin`: the same path with the trunk on the waveform instead of plots (benchmarks/peers/twin.py),
- `bare_onnxruntime`: the exported networks alone, findings and rhythm, on prepared windows: the floor.

One thread on one core, pinned where the system allows. Every round gives each its turn; figures are medians
over rounds by CPU time, so that a busy neighbour counts little, with the least and the most, and by the wall
clock beside. Ratios are of medians at the same batch, and for the starting project also to its best batch.
Two processes on two cores against one are by the wall clock, which means little when the cores are not free,
and by CPU time.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from scipy.signal import resample_poly

from inference.card import MODEL_NAME, RELEASED_WEIGHTS
from inference.classifier import Classifier
from inference.lead_view import SERVED_LEADS, LeadLimits
from inference.preprocess import prepare_windows
from inference.quality_gate import refuse_each
from inference.rhythm import MODEL_NAME as RHYTHM_NAME
from ingest.chunk import Lead
from ingest.window import Window

RECORDING = Path(__file__).parents[1] / "tests" / "inference" / "golden_window.npz"  # 500 Hz, lead I
FS = 512.0
ROUNDS = 9
WARM_UP = 3  # runs before the first round
WORKER_START_S = 120.0
PEERS = ("starting_project", "starting_project_onnx", "twin", "bare_onnxruntime")
PARTS = ("prepare", "gate", "rhythm_network", "network")


@dataclass
class Contender:
    """Something that takes one batch, and how fast it was in each round."""

    run: Callable[[], object]
    per_s: list[float] = field(default_factory=list)  # windows per second of CPU
    wall_per_s: list[float] = field(default_factory=list)

    def take_turn(self, batch: int, seconds: float) -> None:
        """Run for that much CPU time, once at least."""
        runs, wall_s, cpu_s = 0, time.perf_counter(), time.process_time()
        while not runs or time.process_time() - cpu_s < seconds:
            self.run()
            runs += 1
        self.per_s.append(runs * batch / (time.process_time() - cpu_s))
        self.wall_per_s.append(runs * batch / (time.perf_counter() - wall_s))

    def figures(self) -> dict[str, float]:
        """Windows per second."""
        return {
            "median": round(statistics.median(self.per_s), 1),
            "least": round(min(self.per_s), 1),
            "most": round(max(self.per_s), 1),
            "wall": round(statistics.median(self.wall_per_s), 1),
        }


class Field:
    """All contenders, built once; `contenders` gives them a batch."""

    def __init__(self, weights_dir: Path) -> None:
        from benchmarks.peers import starting_project, twin  # noqa: PLC0415 - torch, not for the workers

        self.classifier = Classifier.load(weights_dir)
        self._rhythm = self.classifier.rhythm_reader
        networks = [MODEL_NAME] + ([RHYTHM_NAME] if self._rhythm else [])
        self._bare = [session_of((weights_dir / name).read_bytes()) for name in networks]
        self._starting = starting_project
        self._net = starting_project.build()
        self.starting_mmac = starting_project.count_macs(self._net) / 1e6
        self._net_onnx = session_of(starting_project.onnx_bytes(self._net))
        network = session_of(twin.onnx_bytes(twin.build()))
        any_way_up = LeadLimits(dict.fromkeys(SERVED_LEADS, 1.0), dict.fromkeys(SERVED_LEADS, 1.0))
        card = replace(self.classifier.card, lead_limits=any_way_up)  # random weights see leads at random
        self._twin = Classifier(network, card, self._rhythm)

    def contenders(self, batch: int) -> dict[str, Contender]:
        """The product, its parts and its peers on the same windows."""
        windows = windows_of(batch)
        samples, fs = [one.samples_mv for one in windows], [one.fs for one in windows]
        prepared = prepare_windows(samples, fs)
        refused = [one.indeterminate for one in self.classifier.classify(windows, 0) if one.indeterminate]
        if refused:
            raise SystemExit(
                f"{len(refused)} of {batch} windows were refused ({refused[0]}) and cost too little"
            )
        runs: dict[str, Callable[[], object]] = {
            "wristlead": lambda: self.classifier.classify(windows, 0),
            "prepare": lambda: prepare_windows(samples, fs),
            "gate": lambda: refuse_each(windows, prepared),
            "rhythm_network": lambda: self._rhythm and self._rhythm.logits(prepared),
            "network": lambda: self.classifier.answers(prepared),
            "starting_project": lambda: self._starting.run_eager(
                self._net, self._starting.plots_of(samples, FS)
            ),
            "starting_project_onnx": lambda: self._net_onnx.run(
                None, {"plots": self._starting.plots_of(samples, FS)}
            ),
            "twin": lambda: self._twin.classify(windows, 0),
            "bare_onnxruntime": lambda: [each.run(None, {"ecg_mv": prepared}) for each in self._bare],
        }
        return {name: Contender(run) for name, run in runs.items()}


def main() -> None:
    """Print windows per second, ratios and what each part of the path takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32], help="windows a batch")
    parser.add_argument("--seconds", type=float, default=4.0, help="CPU time of each contender and batch")
    parser.add_argument("--weights", type=Path, default=RELEASED_WEIGHTS, help="folder of model and card")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    cores = allowed_cores()
    figures: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "workers": {
            str(n): compare_workers(Load(options.weights, n, options.seconds), cores) for n in options.batch
        },
        "pinned": pin(cores[-1:]),
    }
    field_of_peers = Field(options.weights)
    card = field_of_peers.classifier.card
    figures |= {"model": card.version, "mmac": card.mmac}
    figures["starting_project_mmac"] = round(field_of_peers.starting_mmac, 1)
    figures["batch"] = {
        str(n): measure(field_of_peers.contenders(n), n, options.seconds) for n in options.batch
    }
    best = max(each["windows_per_s"]["starting_project"]["median"] for each in figures["batch"].values())
    for each in figures["batch"].values():
        ours = each["windows_per_s"]["wristlead"]["median"]
        each["ratio"]["starting_project_best_batch"] = round(ours / best, 2)
    print(json.dumps(figures, indent=None if options.json else 2))


def measure(contenders: dict[str, Contender], batch: int, seconds: float) -> dict[str, Any]:
    """Give each its turns, in an order that changes from round to round, and compare."""
    for contender in contenders.values():
        for _ in range(WARM_UP):
            contender.run()
    names = list(contenders)
    for k in range(ROUNDS):
        for name in names[k % len(names) :] + names[: k % len(names)]:
            contenders[name].take_turn(batch, seconds / ROUNDS)
    figures = {name: contender.figures() for name, contender in contenders.items()}
    ours = figures["wristlead"]["median"]
    parts = {name: 1e6 / figures[name]["median"] for name in PARTS}
    parts["calibration_and_verdict"] = 1e6 / ours - sum(parts.values())  # what is left of the whole
    return {
        "windows_per_s": {name: figures[name] for name in ("wristlead", *PEERS)},
        "ratio": {name: round(ours / figures[name]["median"], 2) for name in PEERS},
        "parts_us": {name: round(us, 1) for name, us in parts.items()},
    }


def windows_of(n: int) -> list[Window]:
    """As many versions of one real recording as devices would send."""
    with np.load(RECORDING) as stored:
        at_512 = resample_poly(stored["ecg_uv"] / 1000.0, 128, 125, padtype="line")
    rng = np.random.default_rng(0)
    return [
        Window(
            device=f"bench/{k}",
            session=1,
            first_sample=0,
            wall_time_us=0,
            fs=FS,
            lead=Lead.I,
            samples_mv=_changed(at_512, rng),
            coverage=1.0,
            lead_off=0.0,
            clipped=0.0,
            historic=False,
        )
        for k in range(n)
    ]


def _changed(ecg_mv: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    noise_mv = rng.normal(0, 0.01, len(ecg_mv))
    return np.asarray(rng.uniform(0.7, 1.4) * ecg_mv + noise_mv, dtype=np.float32)


def session_of(model: bytes) -> ort.InferenceSession:
    """One thread, everything else as onnxruntime has it by default."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def allowed_cores() -> list[int]:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(cores: Sequence[int]) -> bool:
    """Keep this process on these cores; False where the system has no such call or does not allow it."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    try:
        os.sched_setaffinity(0, cores)
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Load:
    """What each worker does."""

    weights_dir: Path
    batch: int
    seconds: float


def compare_workers(load: Load, cores: Sequence[int]) -> dict[str, Any] | None:
    """Windows per second of wall clock by one process and by two on two cores; None with a single core."""
    if len(cores) < 2:
        return None
    one, two = (work_together(load, cores[:n]) for n in (1, 2))
    alone_per_s, together_per_s = (sum(per_s for per_s, _ in each) for each in (one, two))
    alone_by_cpu, together_by_cpu = (sum(per_s / share for per_s, share in each) for each in (one, two))
    return {
        "one": round(alone_per_s, 1),
        "two": round(together_per_s, 1),
        "ratio": round(together_per_s / alone_per_s, 2),
        "ratio_by_cpu_time": round(together_by_cpu / alone_by_cpu, 2),
        "share_of_core": [round(share, 2) for _, share in (*one, *two)],  # below 0.95 a neighbour was busy
    }


def work_together(load: Load, cores: Sequence[int]) -> list[tuple[float, float]]:
    """Windows per second and share of its core, for a process on each core, all at the same time."""
    context = get_context("spawn")
    start, results = context.Barrier(len(cores)), context.SimpleQueue()
    processes = [context.Process(target=_work, args=(load, core, start, results)) for core in cores]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a worker ended early; what it printed says why")
    return [results.get() for _ in processes]


def _work(load: Load, core: int, start: Barrier, results: "SimpleQueue[tuple[float, float]]") -> None:
    pin([core])
    classifier, windows = Classifier.load(load.weights_dir), windows_of(load.batch)
    for _ in range(WARM_UP):
        classifier.classify(windows, 0)
    start.wait(WORKER_START_S)
    runs, wall_s, cpu_s = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall_s < load.seconds:
        classifier.classify(windows, 0)
        runs += 1
    wall_s = time.perf_counter() - wall_s
    results.put((runs * load.batch / wall_s, (time.process_time() - cpu_s) / wall_s))


if __name__ == "__main__":
    main()
