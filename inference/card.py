"""The card that lies beside the weights: what the model is, how it was calibrated, and what it can do."""

from dataclasses import dataclass
from typing import Any

import msgspec

from inference.calibration import LeadCalibration
from inference.lead_view import LeadLimits
from inference.released import CARD_NAME, MODEL_NAME, RELEASED_WEIGHTS

__all__ = ["CARD_NAME", "MODEL_NAME", "RELEASED_WEIGHTS", "Card", "decode_card", "encode_card"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Written by the training's export, read by the classifier."""

    version: str  # shown with every verdict
    sha256: str  # of the model file
    fs: float  # Hz
    samples: int
    band_hz: tuple[float, float]
    lags: tuple[int, ...]  # samples
    classes: tuple[str, ...]  # in the order of the logits
    by_lead: dict[str, LeadCalibration]  # the leads it was calibrated for; others get no findings
    lead_limits: LeadLimits
    calibration_folds: tuple[int, ...]
    parameters: int
    mmac: float  # million multiply-adds a window
    parity: float  # greatest logit difference between torch and the exported file, on real windows
    rounding: float  # greatest change of a logit by keeping the weights at half precision
    recipe: dict[str, Any]
    figures: dict[str, dict[str, Any]]  # by lead: of `evaluate` on the calibration folds, cross-fitted
    external: dict[str, Any]  # figures on recordings of other sources, by source


def encode_card(card: Card) -> bytes:
    """Card -> indented JSON."""
    return msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n"


def decode_card(content: bytes) -> Card:
    """JSON -> card; msgspec.DecodeError or ValidationError where it is not one."""
    return msgspec.json.decode(content, type=Card)
