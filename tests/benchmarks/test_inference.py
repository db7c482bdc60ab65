"""The peers of `python -m benchmarks.inference` are what they are said to be."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from benchmarks.inference import FS, PARTS, PEERS, Contender, measure, windows_of
from benchmarks.peers import starting_project as peer
from inference.classifier import Classifier

ROOT = Path(__file__).parents[2]


def test_the_starting_projects_network_costs_what_it_is_described_to_cost() -> None:
    assert peer.count_macs(peer.build()) / 1e6 == pytest.approx(peer.DESCRIBED_MMAC, abs=0.5)


def test_its_plot_has_the_described_weaknesses() -> None:
    """Three times as tall or upside down is the same image; model.md says so of the original."""
    ecg = windows_of(1)[0].samples_mv
    plot = peer.plot_of(ecg, FS)
    assert plot.shape == (1, 72, 72)
    assert (plot.min(), plot.max()) == (0.0, 1.0)
    np.testing.assert_allclose(peer.plot_of(3 * ecg, FS), plot, atol=1e-5)
    np.testing.assert_allclose(peer.plot_of(-ecg, FS), plot, atol=1e-5)


@pytest.mark.slow
def test_its_exported_network_gives_the_shares_of_the_eager_one() -> None:
    net = peer.build()
    plots = peer.plots_of([one.samples_mv for one in windows_of(3)], FS)
    session = ort.InferenceSession(peer.onnx_bytes(net), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"plots": plots})[0], peer.run_eager(net, plots), atol=1e-5)


def test_the_measured_windows_differ_and_none_is_refused() -> None:
    windows = windows_of(32)
    assert all(verdict.findings for verdict in Classifier.load().classify(windows, 0))
    assert len({one.samples_mv.tobytes() for one in windows}) == 32


def test_every_contender_has_a_turn_in_every_round_and_is_compared_to_the_product() -> None:
    turns: list[str] = []

    def busy(name: str, loops: int) -> Contender:
        def run() -> None:
            turns.append(name)
            sum(range(loops))

        return Contender(run)

    contenders = {name: busy(name, 20_000) for name in ("wristlead", *PARTS, *PEERS)}
    figures = measure(contenders, batch=4, seconds=0.0)
    assert {turns.count(name) for name in contenders} == {12}  # three to warm up, nine rounds
    for peer_name, ratio in figures["ratio"].items():
        rates = figures["windows_per_s"]
        assert ratio == pytest.approx(rates["wristlead"]["median"] / rates[peer_name]["median"], abs=0.01)


def test_its_workers_load_no_torch() -> None:
    code = "import sys, benchmarks.inference; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
