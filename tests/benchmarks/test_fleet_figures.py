"""The fleet benchmark's judgement: a growing queue is not held, whatever its level."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.fleet_figures import Run, both_of, compared, figures_of
from benchmarks.floors import fleet_rows, sqlite_floor
from benchmarks.observation import Observation, backlog_figures
from ingest.settings import load_settings
from ingest.store.accounting import Account, Quantiles
from ingest.wire import decode

UNKNOWN = Quantiles(None, None)


class Silent:
    """An observer whose services count nothing."""

    def total(self, _service: str, _counter: str) -> int:
        return 0

    def worst(self, _service: str, _histogram: str) -> dict[str, float | None]:
        return {"p50": None, "p99": None}


def run_of(tmp_path: Path, devices: int = 100) -> Run:
    return Run(
        devices=devices,
        seconds=60.0,
        chunk_ms=1000,
        kill=False,
        extras=(),
        faults=(),
        floor_seconds=0.0,
        settings=load_settings(data_dir=tmp_path),
    )


def seen_with(backlog: list[float]) -> Observation:
    at_s = [float(second) for second in range(len(backlog))]
    return Observation(
        cpu_s={"ingest": 30.0, "broker": 3.0},
        rss_mb={"ingest": [100.0, 100.0]},
        backlog={"ingest": list(zip(at_s, backlog, strict=True))},
        took_s=60.0,
        chunks=6000,
        vitals_cpu_s=15.0,
    )


def account_of(*, lost: int = 0, missing: int = 0) -> Account:
    return Account(6000, 6000 - lost, lost, 600, 600, 600 - missing, missing, {}, UNKNOWN, UNKNOWN)


@pytest.mark.parametrize(
    ("backlog", "found", "verdict"),
    [
        ([500.0, 520.0] * 30, account_of(), "holds"),
        (
            [10.0 * second for second in range(60)],
            account_of(),
            "a backlog grows; busiest: ingest, 0.50 of a core",
        ),
        ([0.0] * 60, account_of(lost=1), "1 chunks lost; busiest: ingest, 0.50 of a core"),
        ([0.0] * 60, account_of(missing=2), "2 windows without verdict; busiest: ingest, 0.50 of a core"),
    ],
)
def test_a_fleet_is_held_only_when_nothing_is_lost_and_no_backlog_grows(
    tmp_path: Path, backlog: list[float], found: Account, verdict: str
) -> None:
    figures = figures_of(run_of(tmp_path), Silent(), seen_with(backlog), found)  # type: ignore[arg-type]
    assert figures["verdict"] == verdict
    assert figures["watches"] == (100 if verdict == "holds" else 0)


def test_ingest_is_compared_by_messages_for_each_second_of_cpu() -> None:
    floor = {"receive": {"messages_per_cpu_s": 800.0}, "sqlite": {"chunks_per_cpu_s": 2000.0}}
    found = compared(floor, seen_with([0.0]))
    assert found is not None
    assert found["ingest_over_receive_loop"] == 0.25
    assert found["without_vitals_over_receive_loop"] == 0.5
    assert found["ingest_over_sqlite_writer"] == 0.1


def test_a_floor_measured_twice_counts_with_what_both_cost_together() -> None:
    slow: dict[str, float | None] = {"messages_per_s": 1000.0, "messages_per_cpu_s": 10_000.0}
    fast: dict[str, float | None] = {"messages_per_s": 1000.0, "messages_per_cpu_s": 30_000.0}
    assert both_of(slow, fast)["messages_per_cpu_s"] == 15_000.0  # 100 and 33 us, 133 us for two
    assert both_of(slow, {"messages_per_s": None, "messages_per_cpu_s": None})["messages_per_cpu_s"] is None


def test_a_backlog_is_told_by_its_level_and_its_growth() -> None:
    rng = np.random.default_rng(0)
    samples = [(float(second), 40.0 + 2.5 * second + rng.normal()) for second in range(100)]
    found = backlog_figures(samples)
    assert found["slope_per_s"] == pytest.approx(2.5, abs=0.05)
    assert found["max"] == pytest.approx(287.5, abs=5.0)


def test_the_bare_writer_stores_what_watches_send() -> None:
    rows = fleet_rows(3)
    assert [decode(payload, device).n_samples for device, payload in rows] == [512] * 3
    assert sqlite_floor(30)["batch"] == 3
