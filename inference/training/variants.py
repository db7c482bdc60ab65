"""Networks that differ from the released one in one thing, to find out what does the work.

    lag plot               the released form
    without sign           |D| in place of D: an inverted lead looks the same
    without amplitude      each window scaled to one standard deviation first
    beat plot              the full plot of the mean beat, 64 x 64, signed and soft (`beat_model`)
    rhythm plot            the full plot of the QRS energy, 66 x 66, signed and soft
    lag, beat and rhythm   the three together
    pooled plot            72 x 72 of |x_i - x_j|, pooled to 7.2 Hz, scaled to 0..1
    waveform               no plot: the one-dimensional twin, the same trunk on x itself

Everything is built inside the graph and can be differentiated.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from inference.beat_model import WIDTHS as LARGE
from inference.beat_model import BeatNet, BeatPlot, PlaneBranch, QrsEnergy
from inference.model import DROPOUT, LagPlot, PlotNet, RecurrenceNet
from inference.recurrence import CLIP_MV, LAGS

RHYTHM_STEP = 15  # samples: 66 points
RHYTHM_SCALE = 0.3  # half of full scale, in units of the window's mean energy
POOLED_POINTS = 72
STARTING_STD_MV = 0.25  # what a window without amplitude is scaled to
TWIN = "waveform (1-D twin)"
SMALL = (16, 32, 48, 64)  # widths of a plane's stages beside the lag plot


class UnsignedLagPlot(LagPlot):
    """The lag plot of sizes only."""

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 36, time)."""
        plot = super().forward(ecg_mv)
        return torch.cat([plot[:, : len(LAGS)].abs(), plot[:, len(LAGS) :]], dim=1)


class ScaledLagPlot(LagPlot):
    """The lag plot of a window that lost its amplitude."""

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 36, time)."""
        centred = ecg_mv - ecg_mv.mean(dim=-1, keepdim=True)
        return super().forward(centred / (centred.std(dim=-1, keepdim=True) + 1e-3) * STARTING_STD_MV)


class Waveform(nn.Module):
    """No plot at all."""

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 1, time)."""
        return ecg_mv[:, None]


class RhythmPlot(nn.Module):
    """Full plot of the QRS energy over the window."""

    channels = 2

    def __init__(self) -> None:
        super().__init__()
        self.energy = QrsEnergy()

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 2, 66, 66)."""
        energy = nn.functional.max_pool1d(self.energy(ecg_mv), RHYTHM_STEP, RHYTHM_STEP)[:, 0]
        energy = energy / (energy.mean(dim=-1, keepdim=True) + 1e-3)
        difference = energy[:, :, None] - energy[:, None, :]
        size = difference.abs()
        return torch.stack([difference.clamp(-CLIP_MV, CLIP_MV), size / (size + RHYTHM_SCALE)], dim=1)


class PooledPlot(nn.Module):
    """The starting project's 72 x 72."""

    channels = 1

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 1, 72, 72) of 0..1."""
        pooled = nn.functional.adaptive_avg_pool1d(ecg_mv[:, None], POOLED_POINTS)[:, 0]
        low = pooled.amin(dim=-1, keepdim=True)
        scaled = (pooled - low) / (pooled.amax(dim=-1, keepdim=True) - low + 1e-3)
        return (scaled[:, :, None] - scaled[:, None, :]).abs()[:, None]


class BranchedNet(PlotNet):
    """Several branches side by side under the same heads."""

    def __init__(self, branches: list[PlaneBranch], lag: RecurrenceNet | None = None) -> None:
        super().__init__()
        self.lag = lag
        self.branches = nn.ModuleList(branches)
        self._features = [branch.features for branch in branches]
        self.drop = nn.Dropout(DROPOUT)
        self.add_heads((lag.width if lag else 0) + sum(branch.width for branch in branches))

    def features(self, ecg_mv: Tensor) -> Tensor:
        """(batch, 1000) mV -> (batch, width)."""
        parts = [] if self.lag is None else [self.lag.features(ecg_mv)]
        parts += [self.drop(features(ecg_mv)) for features in self._features]
        return torch.cat(parts, dim=1)


def _rhythm(widths: tuple[int, ...]) -> PlaneBranch:
    return PlaneBranch(RhythmPlot(), RhythmPlot.channels, widths)


def _beat(widths: tuple[int, ...]) -> PlaneBranch:
    return PlaneBranch(BeatPlot(), BeatPlot.channels, widths)


def _pooled() -> PlotNet:
    return BranchedNet([PlaneBranch(PooledPlot(), PooledPlot.channels, LARGE)])


VARIANTS: Mapping[str, Callable[[], PlotNet]] = {
    "lag plot": RecurrenceNet,
    "lag plot without sign": lambda: RecurrenceNet(UnsignedLagPlot()),
    "lag plot without amplitude": lambda: RecurrenceNet(ScaledLagPlot()),
    "beat plot": BeatNet,
    "rhythm plot": lambda: BranchedNet([_rhythm(LARGE)]),
    "lag, beat and rhythm plot": lambda: BranchedNet([_beat(SMALL), _rhythm(SMALL)], RecurrenceNet()),
    "pooled 72 x 72 plot": _pooled,
    TWIN: lambda: RecurrenceNet(Waveform(), channels=1),
}
