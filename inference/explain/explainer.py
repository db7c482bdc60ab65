"""A stored window and a question -> its explanation, by the network of the released weights."""

import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inference.classifier import ClassifierError
from inference.explain.attribution import Attribution
from inference.explain.explanation import Explanation, ExplanationMethod, quantise
from inference.explain.grad_cam import grad_cam
from inference.explain.gradient_shap import gradient_shap
from inference.explain.saved_network import LeadReader, SavedNetworkError, lead_of, load_network
from inference.model import RecurrenceNet
from inference.preprocess import MODEL_FS, prepare_window
from inference.recurrence import PICTURE_POINTS
from inference.verdict import Superclass
from ingest.window import Window


class Explainer:
    """One instance serves every device; it keeps nothing between windows."""

    def __init__(
        self,
        net: RecurrenceNet,
        version: str,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.version = version
        self._net = net
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s

    @classmethod
    def load(cls, weights_dir: Path | None = None) -> "Explainer":
        """Open a folder of weights, None means the released one; one torch thread from here on.

        Raises ValueError, in words, when the weights cannot be used.
        """
        torch.set_num_threads(1)  # a second one would compete with the services that must not wait
        try:
            return cls(*load_network(weights_dir))
        except (ClassifierError, SavedNetworkError) as error:
            raise ValueError(str(error)) from error

    def explain(
        self, window: Window, superclass: Superclass, method: ExplanationMethod
    ) -> Generator[float, None, Explanation]:
        """Explain one answer in parts: yields the share done and returns the explanation.

        Raises ValueError for a window the model cannot take.
        """
        started_s = self._monotonic_s()
        prepared_mv = prepare_window(window.samples_mv, window.fs)
        reader = LeadReader(self._net, lead_of(self._net, window, prepared_mv))
        attribution = yield from attribute(reader, prepared_mv, superclass, method)
        plot = attribution.to_plot
        return Explanation(
            device=window.device,
            session=window.session,
            first_sample=window.first_sample,
            wall_time_us=window.wall_time_us,
            model=self.version,
            superclass=superclass,
            method=method,
            fs=MODEL_FS,
            attribution=quantise(attribution.to_time),
            plot=None if plot is None else quantise(for_picture(plot)),
            effect=attribution.effect,
            completeness_error=attribution.completeness_error,
            made_us=self._clock_us(),
            took_ms=round(1e3 * (self._monotonic_s() - started_s), 1),
        )


def attribute(
    net: LeadReader, prepared_mv: NDArray[np.float32], superclass: Superclass, method: ExplanationMethod
) -> Generator[float, None, Attribution]:
    """The method's attribution of one prepared window, (1000,) mV at 100 Hz, in parts."""
    if method is ExplanationMethod.GRAD_CAM:
        return grad_cam(net, prepared_mv, superclass)
    return (yield from gradient_shap(net, prepared_mv, superclass))


def for_picture(plot: NDArray[np.float32], points: int = PICTURE_POINTS) -> NDArray[np.float32]:
    """(lags, samples) -> (lags, points): sums over equal stretches, so that the total stays."""
    edges = np.linspace(0, plot.shape[1], points + 1).astype(int)[:-1]
    return np.asarray(np.add.reduceat(plot, edges, axis=1), dtype=np.float32)
