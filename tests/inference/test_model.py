import numpy as np
import pytest
import torch

from inference.beat_model import PairNet
from inference.classifier import OUTPUTS
from inference.explain.saved_network import rebuild_network
from inference.lead_view import SERVED_LEADS, LeadView
from inference.model import LagPlot, count_macs, count_parameters
from inference.recurrence import lag_plot
from inference.training.export import MAX_PARITY_ERROR, MAX_ROUNDING, onnx_bytes, parity_error, shipped_bytes

torch.set_num_threads(1)
ECG = np.random.default_rng(4).normal(0, 0.6, (6, 1000)).astype(np.float32)


@pytest.fixture(scope="module")
def net() -> PairNet:
    torch.manual_seed(0)
    return PairNet().eval()


def test_the_plot_in_the_graph_equals_its_numpy_twin() -> None:
    inside = LagPlot()(torch.from_numpy(ECG)).numpy()
    for row, ecg in zip(inside, ECG, strict=True):
        np.testing.assert_allclose(row, lag_plot(ecg), atol=1e-6)


def test_nothing_but_the_plots_enters_the_networks(net: PairNet) -> None:
    """Two signals with the same plots have the same logits: an offset is all that a plot leaves out.

    What finds the beats for the beat plot sees the signal; it leaves these beats where they are.
    """
    shifted_ecg = torch.from_numpy(ECG + np.float32(0.01))
    begins = net.beat.branch.plot.begins
    with torch.inference_mode():
        logits, lead = net(torch.from_numpy(ECG))
        shifted, _ = net(shifted_ecg)
        inverted, _ = net(torch.from_numpy(-ECG))
        assert torch.equal(begins(shifted_ecg), begins(torch.from_numpy(ECG)))
    assert logits.shape == (6, len(SERVED_LEADS), 5)
    assert lead.shape == (6, len(LeadView))
    by_offset, by_sign = (logits - shifted).abs().max(), (logits - inverted).abs().max()
    assert by_offset < 1e-5
    assert by_sign > 50 * by_offset


def test_the_networks_keep_their_budget(net: PairNet) -> None:
    assert count_parameters(net) <= 550_000
    assert count_macs(net) <= 40e6


def test_every_relu_is_its_own_and_leaves_its_input_alone(net: PairNet) -> None:
    """Attribution methods such as DeepLift need it."""
    relus = [module for module in net.modules() if isinstance(module, torch.nn.ReLU)]
    calls: list[torch.nn.Module] = []
    hooks = [relu.register_forward_hook(lambda module, _i, _o: calls.append(module)) for relu in relus]
    with torch.inference_mode():
        net(torch.from_numpy(ECG))
    for hook in hooks:
        hook.remove()
    assert len(calls) == len(set(calls)) == len(relus) == 13
    assert not any(relu.inplace for relu in relus)


@pytest.mark.filterwarnings("ignore:.*treespec.*:FutureWarning")  # from inside the exporter
def test_the_exported_graph_equals_torch_at_any_batch(net: PairNet) -> None:
    model = onnx_bytes(net, OUTPUTS)
    assert parity_error(net, model, ECG) <= MAX_PARITY_ERROR
    shipped = shipped_bytes(net)
    assert len(shipped) <= 1_100_000
    assert parity_error(rebuild_network(shipped, "shipped"), shipped, ECG) <= MAX_PARITY_ERROR
    assert parity_error(net, shipped, ECG) <= MAX_ROUNDING
    assert b"site-packages" not in model  # no traces of the machine that exported it
