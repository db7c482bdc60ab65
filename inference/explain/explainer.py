"""A stored window and a question -> its explanation, by the network of the released weights."""

import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inference.beat_model import PairNet
from inference.classifier import ClassifierError
from inference.explain.attribution import Attribution
from inference.explain.explanation import (
    Answer,
    Explanation,
    ExplanationMethod,
    QuantisedMap,
    quantise,
    superclass_and_rhythm,
)
from inference.explain.grad_cam import grad_cam
from inference.explain.gradient_shap import gradient_shap
from inference.explain.rhythm_grad_cam import RhythmOdds, rhythm_grad_cam
from inference.explain.saved_network import (
    LeadReader,
    SavedNetworkError,
    lead_of,
    load_network,
    load_rhythm_network,
)
from inference.preprocess import MODEL_FS, prepare_window
from inference.recurrence import PICTURE_POINTS
from inference.rhythm import RhythmError
from inference.rhythm_model import RhythmNet
from inference.verdict import Rhythm, Superclass
from ingest.window import Window

Reader = LeadReader | RhythmOdds


class Explainer:
    """One instance serves every device; it keeps nothing between windows."""

    def __init__(
        self,
        net: PairNet,
        version: str,
        rhythm: tuple[RhythmNet, str] | None = None,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep the networks; `rhythm` comes with its version, and None explains superclasses only."""
        self.version = version
        self._net = net
        self._rhythm = rhythm
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s

    @classmethod
    def load(cls, weights_dir: Path | None = None) -> "Explainer":
        """Open a folder of weights, None means the released one; one torch thread from here on.

        Raises ValueError, in words, when the weights cannot be used.
        """
        torch.set_num_threads(1)  # a second one would compete with the services that must not wait
        try:
            return cls(*load_network(weights_dir), load_rhythm_network(weights_dir))
        except (ClassifierError, RhythmError, SavedNetworkError) as error:
            raise ValueError(str(error)) from error

    def explain(
        self, window: Window, answer: Answer, method: ExplanationMethod
    ) -> Generator[float, None, Explanation]:
        """Explain one answer in parts: yields the share done and returns the explanation.

        Raises ValueError for a window the model cannot take, or a rhythm where no network tells one.
        """
        started_s = self._monotonic_s()
        prepared_mv = prepare_window(window.samples_mv, window.fs)
        reader, version = self._reader(window, prepared_mv, answer)
        attribution = yield from attribute(reader, prepared_mv, answer, method)
        plot = attribution.to_plot
        superclass, rhythm = superclass_and_rhythm(answer)
        return Explanation(
            device=window.device,
            session=window.session,
            first_sample=window.first_sample,
            wall_time_us=window.wall_time_us,
            model=version,
            superclass=superclass,
            rhythm=rhythm,
            method=method,
            fs=MODEL_FS,
            attribution=quantise(attribution.to_time),
            plot=None if plot is None else quantise(for_picture(plot)),
            beat_plot=_quantised(attribution.to_beat_plot),
            rhythm_plot=_quantised(attribution.to_rhythm_plot),
            effect=attribution.effect,
            completeness_error=attribution.completeness_error,
            made_us=self._clock_us(),
            took_ms=round(1e3 * (self._monotonic_s() - started_s), 1),
        )

    def _reader(self, window: Window, prepared_mv: NDArray[np.float32], answer: Answer) -> tuple[Reader, str]:
        """The network that gave the answer, and its version."""
        if isinstance(answer, Superclass):
            return LeadReader(self._net, lead_of(self._net, window, prepared_mv)), self.version
        if self._rhythm is None:
            raise ValueError("these weights have no rhythm network")
        net, version = self._rhythm
        return RhythmOdds(net), version


def attribute(
    net: Reader, prepared_mv: NDArray[np.float32], answer: Answer, method: ExplanationMethod
) -> Generator[float, None, Attribution]:
    """The method's attribution of one prepared window, (1000,) mV at 100 Hz, in parts.

    Raises ValueError where the network gives no such answer.
    """
    if method is ExplanationMethod.GRADIENT_SHAP:
        return (yield from gradient_shap(net, prepared_mv, column_of(answer)))
    if isinstance(net, RhythmOdds) and isinstance(answer, Rhythm):
        return rhythm_grad_cam(net, prepared_mv, answer)
    if isinstance(net, LeadReader) and isinstance(answer, Superclass):
        return grad_cam(net, prepared_mv, answer)
    raise ValueError(f"{type(net).__name__} does not tell {answer}")


def _quantised(plot: NDArray[np.float32] | None) -> QuantisedMap | None:
    return None if plot is None else quantise(plot)


def column_of(answer: Answer) -> int:
    """Where an answer stands in its network's output."""
    return list(type(answer)).index(answer)


def for_picture(plot: NDArray[np.float32], points: int = PICTURE_POINTS) -> NDArray[np.float32]:
    """(lags, samples) -> (lags, points): sums over equal stretches, so that the total stays."""
    edges = np.linspace(0, plot.shape[1], points + 1).astype(int)[:-1]
    return np.asarray(np.add.reduceat(plot, edges, axis=1), dtype=np.float32)
