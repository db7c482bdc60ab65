"""A trained, calibrated network becomes the released weights: one ONNX file and its card."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from inference.card import CARD_NAME, MODEL_NAME, Card, encode_card
from inference.classifier import OUTPUTS
from inference.explain.saved_network import rebuild_network
from inference.model import count_macs, count_parameters
from inference.preprocess import BAND_HZ, MODEL_FS, MODEL_SAMPLES, prepare_batch
from inference.recurrence import LAGS
from inference.training.calibrate import load_calibrations
from inference.training.dataset import load_records
from inference.training.describe import describe
from inference.training.half import stored_as_half
from inference.training.plan import load_trained, recipe_of
from inference.training.planar import planar
from inference.verdict import Superclass

log = logging.getLogger(__name__)

MAX_PARITY_ERROR = 1e-4  # of a logit, torch against onnxruntime
MAX_ROUNDING = 0.05  # of a logit, by half precision; a probability moves by 1 % at most
MAX_WEIGHTS_BYTES = 4_000_000


class ExportError(Exception):
    """The exported file is not the trained network, or too large to ship."""


def onnx_bytes(net: nn.Module, outputs: Sequence[str] = ("logits",)) -> bytes:
    """Network -> one self-contained ONNX file: input ecg_mv (batch, 1000), outputs as named."""
    program = torch.onnx.export(
        net.eval(),
        (torch.zeros(2, MODEL_SAMPLES),),
        input_names=["ecg_mv"],
        output_names=list(outputs),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise ExportError("torch gave no ONNX program")
    model = program.model_proto
    del model.graph.value_info[:]  # shapes in between: onnxruntime infers them itself
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces name this machine's paths
        node.doc_string = ""
    return bytes(model.SerializeToString())


def shipped_bytes(net: nn.Module) -> bytes:
    """The classifier's network as it is shipped: two-dimensional convolutions, weights at half precision."""
    flat = onnx.load_model_from_string(onnx_bytes(net, OUTPUTS))
    return stored_as_half(bytes(planar(flat).SerializeToString()))


def parity_error(net: nn.Module, model: bytes, prepared_mv: NDArray[np.float32]) -> float:
    """Greatest difference of an output, torch to onnxruntime, over (n, 1000) windows at batch n and 1."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        answer = net.eval()(torch.from_numpy(prepared_mv))
    wanted = [one.numpy() for one in (answer if isinstance(answer, tuple) else (answer,))]
    whole = session.run(None, {"ecg_mv": prepared_mv})
    single = [session.run(None, {"ecg_mv": row[None]}) for row in prepared_mv]
    return max(
        float(max(np.abs(whole[i] - one).max(), np.abs(np.concatenate([s[i] for s in single]) - one).max()))
        for i, one in enumerate(wanted)
    )


def export(data: Path, run: Path, weights_dir: Path) -> dict[str, Any]:
    """Write the weights and their card from a run's checkpoint and calibration; returns the figures by lead.

    Args:
        data: directory of the recordings trained and calibrated on, and of the handheld ones; see `describe`.
        run: directory that `train` and `calibrate` wrote.
        weights_dir: made if absent.

    Raises:
        ExportError: parity above 1e-4, a change by rounding above 0.05, or more than 4 MB.
    """
    records = load_records(data)
    net = load_trained(run)
    calibrations = load_calibrations(run)
    judged = records.of_folds(calibrations.folds)
    model = shipped_bytes(net)
    prepared = prepare_batch(judged.lead_mv(next(iter(calibrations.by_lead)))[:64])
    stored = rebuild_network(model, "the exported network")
    parity = _at_most("parity", parity_error(stored, model, prepared), MAX_PARITY_ERROR)
    rounding = _at_most("rounding", parity_error(net, model, prepared), MAX_ROUNDING)
    if len(model) > MAX_WEIGHTS_BYTES:
        raise ExportError(f"the network takes {len(model)} bytes, at most {MAX_WEIGHTS_BYTES} may be shipped")
    digest = hashlib.sha256(model).hexdigest()
    card = Card(
        version=f"plots-3-{digest[:8]}",
        sha256=digest,
        fs=MODEL_FS,
        samples=MODEL_SAMPLES,
        band_hz=BAND_HZ,
        lags=LAGS,
        classes=tuple(Superclass),
        by_lead=calibrations.by_lead,
        lead_limits=calibrations.lead_limits,
        calibration_folds=calibrations.folds,
        parameters=count_parameters(net),
        mmac=round(count_macs(net) / 1e6, 1),
        parity=parity,
        rounding=rounding,
        recipe=recipe_of(run),
        figures={},
        external={},
    )
    weights_dir.mkdir(parents=True, exist_ok=True)
    (weights_dir / MODEL_NAME).write_bytes(model)
    (weights_dir / CARD_NAME).write_bytes(encode_card(card))
    figures = describe(weights_dir, records, data, run).figures
    log.info("wrote %s: %d bytes, parity %.1e", weights_dir, len(model), parity)
    return figures


def _at_most(what: str, change: float, limit: float) -> float:
    if change > limit:
        raise ExportError(
            f"{what}: an exported logit differs by {change:.2e}, at most {limit:.0e} is allowed"
        )
    return change
