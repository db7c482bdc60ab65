"""A trained rhythm network and its cross-validation become released weights: one ONNX file and its card.

Batch normalisation is folded into the convolutions, and the folded weights are rounded to float16, in which
they are stored; the network still computes in float32. Parity is between the rounded network in torch and the
file, and the change by rounding is given beside it.
"""

import copy
import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inference.model import count_parameters
from inference.preprocess import BAND_HZ, MODEL_FS, MODEL_SAMPLES, prepare_batch
from inference.rhythm import CARD_NAME, MODEL_NAME, RhythmCard
from inference.rhythm_model import RhythmNet, count_macs
from inference.rhythm_plot import LAGS, RHYTHM_LAGS
from inference.training.export import MAX_PARITY_ERROR, ExportError, onnx_bytes, parity_error
from inference.training.fit import identity_of
from inference.training.half import stored_as_half
from inference.training.rhythm.calibrate import LIMITS_CHOSEN, fit
from inference.training.rhythm.dataset import Recordings
from inference.training.rhythm.evaluate import figures
from inference.training.rhythm.gate import gate_figures
from inference.training.rhythm.train import load_trained
from inference.training.rhythm.validate import unseen_of
from inference.verdict import Rhythm

log = logging.getLogger(__name__)

FIGURES_NAME = "rhythm.json"  # in the run, for the model card
PARITY_WINDOWS = 64


def export(recordings: Recordings, run: Path, weights_dir: Path) -> dict[str, Any]:
    """Write rhythm.onnx and rhythm.json from the networks in `run`; returns the cross-validated figures.

    Raises:
        ExportError: parity above 1e-4.
        FileNotFoundError: `train` or `cross-validate` has not finished.
    """
    net = load_trained(run)
    unseen, fold = unseen_of(recordings, run)
    checked = np.linspace(0, len(recordings) - 1, PARITY_WINDOWS).astype(int)
    prepared = prepare_batch(np.stack([recordings.window_mv(int(row), 0) for row in checked]))
    served = rounded(net)
    model = stored_as_half(onnx_bytes(served))
    parity = parity_error(served, model, prepared)
    if parity > MAX_PARITY_ERROR:
        raise ExportError(
            f"exported logits differ by {parity:.2e}, at most {MAX_PARITY_ERROR:.0e} is allowed"
        )
    digest = hashlib.sha256(model).hexdigest()
    card = RhythmCard(
        version=f"rhythm-1-{digest[:8]}",
        sha256=digest,
        fs=MODEL_FS,
        samples=MODEL_SAMPLES,
        band_hz=BAND_HZ,
        lags=LAGS,
        rhythm_lags=RHYTHM_LAGS,
        classes=tuple(Rhythm),
        calibration=fit(unseen),
        limits_chosen=LIMITS_CHOSEN,
        parameters=count_parameters(net),
        mmac=round(count_macs(net) / 1e6, 1),
        parity=parity,
        rounding=change_by_rounding(net, served, prepared),
        recipe=identity_of(run),
        figures=figures(unseen, fold) | {"gate": gate_figures(recordings, unseen, fold)},
    )
    weights_dir.mkdir(parents=True, exist_ok=True)
    (weights_dir / MODEL_NAME).write_bytes(model)
    content = msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n"
    (weights_dir / CARD_NAME).write_bytes(content)
    shown = {
        "version": card.version,
        "parameters": card.parameters,
        "mmac": card.mmac,
        "calibration": asdict(card.calibration),
        "limits_chosen": card.limits_chosen,
        **card.figures,
    }
    (run / FIGURES_NAME).write_text(json.dumps(shown, indent=2) + "\n", encoding="utf-8")
    log.info("wrote %s: %d bytes, parity %.1e", weights_dir / MODEL_NAME, len(model), parity)
    return shown


def rounded(net: RhythmNet) -> RhythmNet:
    """A copy in eval mode whose normalisation is folded in and whose weights float16 can hold."""
    served = copy.deepcopy(net).eval()
    _fold(served)
    with torch.no_grad():
        for weight in served.parameters():
            weight.copy_(weight.half().float())
    return served


def _fold(module: nn.Module) -> None:
    """Fold each batch normalisation that stands behind a convolution in a Sequential, at any depth."""
    for child in module.children():
        _fold(child)
    if isinstance(module, nn.Sequential):
        for index in range(len(module) - 1):
            conv, norm = module[index], module[index + 1]
            if isinstance(conv, nn.Conv1d | nn.Conv2d) and isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                module[index], module[index + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


def change_by_rounding(net: RhythmNet, served: RhythmNet, prepared_mv: NDArray[np.float32]) -> float:
    """Greatest change of a logit over (n, 1000) windows."""
    with torch.inference_mode():
        ecg = torch.from_numpy(prepared_mv)
        return float((net.eval()(ecg) - served(ecg)).abs().max())
