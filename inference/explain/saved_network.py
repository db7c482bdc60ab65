"""The released ONNX files become the torch networks again, so that they can be differentiated.

The weights live in model.onnx and rhythm.onnx alone. Their initializers keep the names of the networks'
parameters; exporting folds a batch norm that follows a convolution into it, which then has a bias of its own,
`<convolution>.weight_bias` or `<convolution>.bias`. So a batch norm whose statistics the file does not hold
was folded, and becomes the identity here. Weights stored as float16 are widened as onnxruntime does it. Sizes
are the file's: only the wiring is that of `inference.beat_model` and `inference.rhythm_model`.

None of this is trusted: a network is used only if its logits equal onnxruntime's.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from inference.beat_model import PairNet
from inference.card import MODEL_NAME, RELEASED_WEIGHTS
from inference.classifier import Classifier
from inference.lead_view import SERVED_LEADS, VIEWS, LeadView
from inference.preprocess import MODEL_SAMPLES
from inference.rhythm import MODEL_NAME as RHYTHM_NAME
from inference.rhythm import RhythmReader
from inference.rhythm_model import RhythmNet
from ingest.window import Window

MAX_PARITY_ERROR = 1e-4  # of a logit, torch against onnxruntime: what the export allows itself
PROBE_WINDOWS = 4
PROBE_SEED = 3

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)

Constants = dict[str, NDArray[np.generic]]
Net = TypeVar("Net", bound=nn.Module)


class SavedNetworkError(Exception):
    """The file is not this program's network; the message says where they part."""


def load_network(weights_dir: Path | None = None) -> tuple[PairNet, str]:
    """A folder with model.onnx and card.json (None: the released one) -> the network and its version.

    The network is in eval mode and its weights want no gradient.

    Raises:
        ClassifierError: a file is missing, damaged or of another model.
        SavedNetworkError: the file's network is not `PairNet`, or answers differently.
    """
    classifier = Classifier.load(weights_dir)
    path = (weights_dir or RELEASED_WEIGHTS) / MODEL_NAME
    net = rebuild_network(path.read_bytes(), str(path))
    _require_parity(lambda ecg: net(ecg)[0], lambda probes_mv: classifier.answers(probes_mv)[0], str(path))
    return net, classifier.version


def load_rhythm_network(weights_dir: Path | None = None) -> tuple[RhythmNet, str] | None:
    """A folder with rhythm.onnx and rhythm.json -> the network and its version; None where it has neither.

    Raises:
        RhythmError: a file is missing, damaged or of another model.
        SavedNetworkError: the file's network is not `RhythmNet`, or answers differently.
    """
    folder = weights_dir or RELEASED_WEIGHTS
    reader = RhythmReader.find(folder)
    if reader is None:
        return None
    path = folder / RHYTHM_NAME
    net = _filled(RhythmNet(), path.read_bytes(), str(path))
    _require_parity(net, reader.logits, str(path))
    return net, reader.card.version


def rebuild_network(model: bytes, place: str) -> PairNet:
    """The bytes of an exported file, from `place`, -> the network; SavedNetworkError where a weight lacks."""
    return _filled(PairNet(), model, place)


class LeadReader(nn.Module):
    """The network as it reads one lead: what is explained."""

    def __init__(self, net: PairNet, lead: str) -> None:
        """Share the network's weights; `lead` is one of SERVED_LEADS."""
        super().__init__()
        self.net = net
        self.plot: nn.Module = net.lag.plot  # (batch, 1000) mV -> (batch, channels, 1000)
        self.last_stage: nn.Module = list(net.lag.blocks)[-1]  # where Grad-CAM looks
        self.beat_plot: nn.Module = net.beat.branch.plot  # (batch, 1000) mV -> (batch, 3, 64, 64)
        self.last_beat_stage: nn.Module = list(net.beat.branch.layers)[-1]
        self._place = SERVED_LEADS.index(lead)

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, 1000) mV -> (batch, 5) logits in Superclass order."""
        superclasses: Tensor = self.net(ecg_mv)[0]
        return superclasses[:, self._place]


def lead_of(net: PairNet, window: Window, prepared_mv: NDArray[np.float32]) -> str:
    """The lead the device told, or the served one the window most looks like."""
    if window.lead.name in SERVED_LEADS:
        return window.lead.name
    with torch.inference_mode():
        views = net(torch.from_numpy(prepared_mv[None]))[1][0]
    return max(SERVED_LEADS, key=lambda lead: float(views[VIEWS.index(LeadView(lead))]))


def _filled(net: Net, model: bytes, place: str) -> Net:
    """The network with the file's numbers, in eval mode; its weights want no gradient."""
    stored = _constants_of(onnx.load_model_from_string(model).graph)
    for name, module in list(net.eval().named_modules()):
        if isinstance(module, NORMS) and f"{name}.running_mean" not in stored:
            parent, _, own = name.rpartition(".")
            setattr(net.get_submodule(parent), own, nn.Identity())  # folded into the layer before it
        elif isinstance(module, (*LAYERS, *NORMS)):
            _fill(module, name, stored, place)
    for name, buffer in net.named_buffers():
        if name in stored:
            buffer.copy_(torch.from_numpy(stored[name].astype(np.float32)).reshape(buffer.shape))
    return net.requires_grad_(requires_grad=False)


def _fill(module: nn.Module, name: str, stored: Constants, place: str) -> None:
    """Give one layer its numbers; a layer without bias gets one if the folding made it."""
    for own in ("weight", "bias", "running_mean", "running_var"):
        if own != "bias" and getattr(module, own, None) is None:
            continue
        value = stored.get(f"{name}.{own}")
        if value is None and own == "bias":
            value = stored.get(f"{name}.weight_bias")
            if value is None and getattr(module, "bias", None) is None:
                continue
        if value is None:
            raise SavedNetworkError(f"{place} holds no {name}.{own}, which the network of this program has")
        tensor = torch.from_numpy(value.astype(np.float32))
        if own == "weight" and isinstance(module, nn.Conv1d) and tensor.ndim == 4:
            tensor = tensor.squeeze(2)  # stored as an image of height 1
        setattr(module, own, tensor if own.startswith("running") else nn.Parameter(tensor))


def _constants_of(graph: onnx.GraphProto) -> Constants:
    """Every initializer by name, and what is only a conversion of one under its own name too."""
    constants: Constants = {each.name: np.asarray(numpy_helper.to_array(each)) for each in graph.initializer}
    for node in graph.node:
        if node.op_type in {"Cast", "Identity"} and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    return constants


def _require_parity(
    net: Callable[[Tensor], Tensor],
    exported: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    place: str,
) -> None:
    probes = np.random.default_rng(PROBE_SEED).normal(0, 0.3, (PROBE_WINDOWS, MODEL_SAMPLES))
    probes_mv = np.asarray(probes * np.linspace(0, 3, PROBE_WINDOWS)[:, None], dtype=np.float32)
    wanted = exported(probes_mv)
    try:
        with torch.inference_mode():
            given = net(torch.from_numpy(probes_mv)).numpy()
    except RuntimeError as error:
        raise SavedNetworkError(f"{place} does not fit the network of this program: {error}") from error
    apart = float(np.abs(given - wanted).max())
    if not apart <= MAX_PARITY_ERROR:
        raise SavedNetworkError(
            f"{place} and the network of this program differ by {apart:.1e} in a logit, at most "
            f"{MAX_PARITY_ERROR:.0e} is allowed: export the weights again with this version"
        )
