"""One explanation of one answer: records that every service can read; no torch here."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from inference.verdict import Rhythm, Superclass

MAX_STEP = np.iinfo(np.int16).max

Answer = Superclass | Rhythm  # what the model said of a window, and what is explained
ExplanationKey = tuple[str, int, int, Answer, "ExplanationMethod"]  # one row of the store


def answer_of(superclass: Superclass | None, rhythm: Rhythm | None) -> Answer:
    """The one that is given; ValueError where both are, or none."""
    given = [each for each in (superclass, rhythm) if each is not None]
    if len(given) != 1:
        raise ValueError(f"want a superclass or a rhythm, not both: got {superclass!r} and {rhythm!r}")
    return given[0]


def superclass_and_rhythm(answer: Answer) -> tuple[Superclass | None, Rhythm | None]:
    """An answer as messages carry it: one of the two is None."""
    return (answer, None) if isinstance(answer, Superclass) else (None, answer)


class ExplanationMethod(StrEnum):
    """How an answer is attributed."""

    GRAD_CAM = "grad_cam"  # of the last stage, drawn on the plot; about two forward passes
    GRADIENT_SHAP = "gradient_shap"  # end to end onto the waveform; some tens of forward passes


@dataclass(frozen=True, slots=True)
class QuantisedMap:
    """A map of floats as 16-bit steps: value = step * scale, no error above half a step.

    A map keeps its sign and its zero, and its greatest size is 32,767 steps. In JSON the steps are base64.
    """

    rows: int
    columns: int
    scale: float  # value of one step, in the map's unit
    steps: bytes  # little-endian int16, row by row

    def __post_init__(self) -> None:
        """Raise ValueError unless there are 2 bytes for each place of the map."""
        if len(self.steps) != 2 * self.rows * self.columns:
            raise ValueError(
                f"a map of {self.rows} x {self.columns} needs {2 * self.rows * self.columns} bytes, "
                f"got {len(self.steps)}"
            )

    def values(self) -> NDArray[np.float32]:
        """(rows, columns) float32."""
        steps = np.frombuffer(self.steps, "<i2").reshape(self.rows, self.columns)
        return np.asarray(steps * np.float32(self.scale), dtype=np.float32)


def quantise(values: NDArray[np.floating]) -> QuantisedMap:
    """(rows, columns), or (columns,) as one row, of finite values -> the map; ValueError otherwise."""
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if table.ndim != 2 or not np.isfinite(table).all():
        raise ValueError(f"want a finite map of one or two dimensions, got shape {values.shape}")
    scale = float(np.abs(table).max(initial=0.0)) / MAX_STEP or 1.0
    steps = np.rint(table / scale).astype("<i2")
    rows, columns = table.shape
    return QuantisedMap(rows, columns, scale, steps.tobytes())


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why the model gave one superclass its logit in one window, or one rhythm its log odds.

    All attributions are in logits: positive speaks for the answer, negative against it. What they should
    add up to is `effect`; how far they miss it is `completeness_error`. The method's docstring defines both.
    Exactly one of `superclass` and `rhythm` is given; ValueError otherwise.
    """

    device: str  # "site/device"
    session: int
    first_sample: int
    wall_time_us: int  # of the window's first sample
    model: str  # version of the weights: the verdict's, or of the rhythm network beside them
    superclass: Superclass | None = None
    rhythm: Rhythm | None = None
    method: ExplanationMethod
    fs: float  # Hz, of `attribution`; its first value is the window's first moment
    attribution: QuantisedMap  # (1, 1000) logits
    plot: QuantisedMap | None  # (lags, columns) logits over the lag plot, the columns share the window evenly
    beat_plot: QuantisedMap | None = None  # (64, 64) logits over the beat plot, for a superclass
    rhythm_plot: QuantisedMap | None = None  # (lags, columns) likewise over the rhythm plot, for a rhythm
    effect: float  # logits
    completeness_error: float  # logits
    made_us: int  # wall clock
    took_ms: float

    def __post_init__(self) -> None:
        """Raise ValueError unless it explains one answer."""
        answer_of(self.superclass, self.rhythm)

    @property
    def answer(self) -> Answer:
        """What it explains."""
        return answer_of(self.superclass, self.rhythm)

    @property
    def key(self) -> ExplanationKey:
        """What it explains, and how: the store keeps one of each."""
        return self.device, self.session, self.first_sample, self.answer, self.method
