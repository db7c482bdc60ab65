"""A trained, calibrated network becomes the released weights: one ONNX file and its card."""

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from inference.card import CARD_NAME, MODEL_NAME, Card, encode_card
from inference.model import count_macs, count_parameters
from inference.preprocess import BAND_HZ, MODEL_FS, MODEL_SAMPLES, prepare_batch
from inference.recurrence import LAGS
from inference.training.calibrate import load_calibrations
from inference.training.dataset import load_records
from inference.training.describe import describe
from inference.training.train import TRAIN_FOLDS, load_trained, recipe_of
from inference.verdict import Superclass

log = logging.getLogger(__name__)

MAX_PARITY_ERROR = 1e-4  # of a logit, torch against onnxruntime
MAX_WEIGHTS_BYTES = 4_000_000  # of all files together


class ExportError(Exception):
    """The exported file is not the trained network, or too large to ship."""


def onnx_bytes(net: nn.Module) -> bytes:
    """Network -> one self-contained ONNX file: input ecg_mv (batch, 1000), output logits (batch, classes)."""
    example = torch.zeros(2, MODEL_SAMPLES)
    program = torch.onnx.export(
        net.eval(),
        (example,),
        input_names=["ecg_mv"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise ExportError("torch gave no ONNX program")
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces name this machine's paths
        node.doc_string = ""
    stream = io.BytesIO()
    onnx.save_model(model, stream)
    return stream.getvalue()


def parity_error(net: nn.Module, model: bytes, prepared_mv: NDArray[np.float32]) -> float:
    """Greatest difference of a logit, torch to onnxruntime, over (n, 1000) windows at batch n and 1."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        wanted = net.eval()(torch.from_numpy(prepared_mv)).numpy()
    whole = session.run(["logits"], {"ecg_mv": prepared_mv})[0]
    single = np.concatenate([session.run(["logits"], {"ecg_mv": row[None]})[0] for row in prepared_mv])
    return float(max(np.abs(whole - wanted).max(), np.abs(single - wanted).max()))


def export(data: Path, run: Path, weights_dir: Path) -> dict[str, Any]:
    """Write the weights and their card from a run's checkpoint and calibration; returns the figures by lead.

    Args:
        data: directory of the recordings trained and calibrated on, and of the handheld ones; see `describe`.
        run: directory that `train` and `calibrate` wrote.
        weights_dir: made if absent.

    Raises:
        ExportError: parity above 1e-4 or more than 4 MB.
    """
    records = load_records(data)
    net = load_trained(run)
    calibrations = load_calibrations(run)
    judged = records.of_folds(calibrations.folds)
    model = onnx_bytes(net)
    recipe = {**recipe_of(run), "n_train": len(records.of_folds(TRAIN_FOLDS))}
    parity = parity_error(net, model, prepare_batch(judged.lead_mv(next(iter(calibrations.by_lead)))[:64]))
    if parity > MAX_PARITY_ERROR:
        raise ExportError(
            f"exported logits differ by {parity:.2e}, at most {MAX_PARITY_ERROR:.0e} is allowed"
        )
    digest = hashlib.sha256(model).hexdigest()
    card = Card(
        version=f"lagplot-1-{digest[:8]}",
        sha256=digest,
        fs=MODEL_FS,
        samples=MODEL_SAMPLES,
        band_hz=BAND_HZ,
        lags=LAGS,
        classes=tuple(Superclass),
        by_lead=calibrations.by_lead,
        calibration_folds=calibrations.folds,
        parameters=count_parameters(net),
        mmac=round(count_macs(net) / 1e6, 1),
        parity=parity,
        recipe=recipe,
        figures={},
        external={},
    )
    weights_dir.mkdir(parents=True, exist_ok=True)
    (weights_dir / MODEL_NAME).write_bytes(model)
    (weights_dir / CARD_NAME).write_bytes(encode_card(card))
    figures = describe(weights_dir, records, data, run).figures
    size = sum(path.stat().st_size for path in weights_dir.iterdir())
    if size > MAX_WEIGHTS_BYTES:
        raise ExportError(f"{weights_dir} holds {size} bytes, at most {MAX_WEIGHTS_BYTES} may be shipped")
    log.info("wrote %s: %d bytes, parity %.1e", weights_dir, size, parity)
    return figures
