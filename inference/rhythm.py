"""Prepared windows become rhythm probabilities by the exported rhythm network; windows become one recording.

No torch here: the recurrence plots (see `rhythm_model`) are built inside the exported graph.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.verdict import Rhythm, RhythmFinding

MODEL_NAME = "rhythm.onnx"
CARD_NAME = "rhythm.json"
MAX_BATCH = 32  # windows a run, as in the classifier
LEAST_SHARE = 1e-9  # keeps logarithms finite
NEARLY_GEOMETRIC = 1e-3  # exponents below it are taken as their limit 0
_REMEDY = "restore the released weights, or export your own with python -m inference.training.rhythm export"

Floats = NDArray[np.floating]


class RhythmError(Exception):
    """The weights cannot be used; the message names the file and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RhythmCalibration:
    """Fitted on windows and recordings that the network had not seen (see `training.rhythm.calibrate`)."""

    temperature: float  # logits are divided by it (Guo et al. 2017)
    biases: tuple[float, float, float, float]  # then added: rare rhythms were drawn more often in training
    af_limit: float  # a window at or above it speaks for atrial fibrillation, if that is most probable too
    noisy_limit: float  # a window at or above it is too noisy to classify
    exponents: tuple[float, float, float, float]  # of the power means over the windows of a recording
    offsets: tuple[float, float, float, float]  # added to log probabilities where one rhythm must be named

    def probabilities(self, logits: Floats) -> NDArray[np.float64]:
        """(n, 4) logits -> (n, 4) probabilities, each row of sum 1."""
        scaled = np.asarray(logits, dtype=np.float64) / self.temperature + np.array(self.biases)
        exponential = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(exponential / exponential.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class RhythmCard:
    """Written by the training's export, read by the reader."""

    version: str
    sha256: str  # of the model file
    fs: float  # Hz
    samples: int
    band_hz: tuple[float, float]
    lags: tuple[int, ...]  # samples, of the lag plot
    rhythm_lags: tuple[int, ...]  # samples at a quarter of the rate, of the rhythm plot
    classes: tuple[str, ...]  # in the order of the logits
    calibration: RhythmCalibration
    limits_chosen: dict[str, str]  # how
    parameters: int
    mmac: float  # million multiply-adds a window
    parity: float  # greatest logit difference between torch and the exported file, on real windows
    rounding: float  # greatest change of a logit by keeping the weights as float16
    recipe: dict[str, Any]
    figures: dict[str, Any]  # cross-validated by recording


def aggregate(probabilities: Floats, exponents: Sequence[float]) -> NDArray[np.float64]:
    """Windows of one recording -> the recording; see `aggregate_each`.

    Args:
        probabilities: (k, 4) in any order of windows, overlapping or not.
        exponents: of the four power means.

    Returns:
        (4,) of sum 1; one window, or several equal ones, are the recording.

    Raises:
        ValueError: no window.
    """
    if len(probabilities) == 0:
        raise ValueError("a recording needs at least one window to have a rhythm, got none")
    recording: NDArray[np.float64] = aggregate_each(probabilities, np.zeros(1, np.int64), exponents)[0]
    return recording


def aggregate_each(
    probabilities: Floats, first: NDArray[np.int64], exponents: Sequence[float]
) -> NDArray[np.float64]:
    """Windows of many recordings -> the recordings.

    A rhythm's share is the power mean M_r(p) = (mean of p^r)^(1/r) over the windows, then the four are scaled
    to sum 1. Rhythms differ in what a recording of them looks like: one window with an early beat makes it
    `other` (r > 1), normal rhythm holds in all (r < 0), fibrillation stays (r about 0: the geometric mean).

    Args:
        probabilities: (windows, 4), those of a recording side by side.
        first: (n,) row of each recording's first window, rising from 0.
        exponents: r of each rhythm.

    Returns:
        (n, 4), each row of sum 1.
    """
    logs = np.log(np.maximum(probabilities, LEAST_SHARE))
    windows = np.diff(first, append=len(logs))
    means = np.empty((len(first), len(Rhythm)))
    for column, exponent in enumerate(exponents):
        values = logs[:, column]
        if abs(exponent) < NEARLY_GEOMETRIC:
            means[:, column] = np.add.reduceat(values, first) / windows
        else:
            total = np.logaddexp.reduceat(exponent * values, first)
            means[:, column] = (total - np.log(windows)) / exponent
    shares = np.exp(means - means.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float64)


class RhythmReader:
    """The released rhythm network. It keeps no state between windows."""

    def __init__(self, session: ort.InferenceSession, card: RhythmCard) -> None:
        self._session = session
        self.card = card

    @classmethod
    def load(cls, folder: Path) -> "RhythmReader":
        """Open a folder with rhythm.onnx and rhythm.json.

        Raises:
            RhythmError: a file is missing, damaged or of another model.
        """
        content = _read(folder / MODEL_NAME)
        card = _read_card(folder / CARD_NAME)
        if hashlib.sha256(content).hexdigest() != card.sha256:
            raise RhythmError(
                f"{folder / MODEL_NAME} is not the file its card describes (wrong SHA-256, "
                f"{len(content)} bytes): {_REMEDY}"
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # as in the classifier
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        try:
            session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise RhythmError(f"{folder / MODEL_NAME} cannot be opened ({error}): {_REMEDY}") from error
        return cls(session, card)

    @classmethod
    def find(cls, folder: Path) -> "RhythmReader | None":
        """The folder's rhythm network; None where it holds neither its file nor its card."""
        has_any = (folder / MODEL_NAME).exists() or (folder / CARD_NAME).exists()
        return cls.load(folder) if has_any else None

    def logits(self, prepared_mv: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 1000) windows as `preprocess` prepares them, mV -> (n, 4) logits in Rhythm order."""
        parts = [
            self._session.run(["logits"], {"ecg_mv": prepared_mv[i : i + MAX_BATCH]})[0]
            for i in range(0, len(prepared_mv), MAX_BATCH)
        ]
        return np.concatenate([np.zeros((0, len(Rhythm)), dtype=np.float32), *parts])

    def probabilities(self, prepared_mv: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n, 1000) prepared windows in mV -> (n, 4) calibrated probabilities in Rhythm order."""
        return self.card.calibration.probabilities(self.logits(prepared_mv))

    def findings(self, probabilities: Floats) -> tuple[RhythmFinding, ...]:
        """(4,) probabilities of a window -> findings in Rhythm order; AF carries its limit."""
        limits = {Rhythm.AF: self.card.calibration.af_limit}
        return tuple(
            RhythmFinding(rhythm, float(share), limits.get(rhythm))
            for rhythm, share in zip(Rhythm, probabilities, strict=True)
        )

    def is_noisy(self, probabilities: Floats) -> bool:
        """Whether the (4,) probabilities of a window say that it is too noisy to classify."""
        noisy = tuple(Rhythm).index(Rhythm.NOISY)
        return bool(probabilities[noisy] >= self.card.calibration.noisy_limit)

    def aggregate(self, probabilities: Floats) -> NDArray[np.float64]:
        """(k, 4) probabilities of a recording's windows -> (4,) of the recording; ValueError without one."""
        return aggregate(probabilities, self.card.calibration.exponents)

    def decide(self, probabilities: Floats) -> Rhythm:
        """The one rhythm of a recording from its (4,) aggregated probabilities, fair to the rare ones."""
        scores = np.log(np.maximum(probabilities, LEAST_SHARE)) + self.card.calibration.offsets
        return tuple(Rhythm)[int(np.argmax(scores))]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RhythmError(f"{path} cannot be read ({error.strerror}): {_REMEDY}") from error


def _read_card(path: Path) -> RhythmCard:
    try:
        card = msgspec.json.decode(_read(path), type=RhythmCard)
    except msgspec.MsgspecError as error:
        raise RhythmError(f"{path} is not a rhythm card ({error}): {_REMEDY}") from error
    if card.classes != tuple(Rhythm):
        raise RhythmError(f"{path} names the classes {card.classes}, want {tuple(map(str, Rhythm))}")
    return card
