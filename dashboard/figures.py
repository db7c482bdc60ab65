"""Data -> Plotly figure, in the tokens of theme.py; pure functions."""

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard import texts
from dashboard.theme import figure_layout

HEIGHT_PX = 300  # of every still figure; base.css reserves it, so that nothing jumps
SPAN_MV = 1.0  # colours end here: an R wave against the baseline of lead I
# Diverging, colour-blind safe, and none of the alarm colours: a plot must never look like an alarm.
DIVERGING_DARK = ((0.0, "#c77d3a"), (0.5, "#10161d"), (1.0, "#5f8fd6"))
DIVERGING_LIGHT = ((0.0, "#9a5a1c"), (0.5, "#ffffff"), (1.0, "#2f5fa8"))


def waiting_figure() -> go.Figure:
    """Empty axes of the final size, so that nothing jumps when the first plot comes."""
    figure = _square(go.Figure())
    figure.update_xaxes(range=[0, 10])
    figure.update_yaxes(range=[0, 10])
    return figure


def recurrence_figure(plot_mv: NDArray[np.float32], duration_s: float, *, is_dark: bool) -> go.Figure:
    """A recurrence plot (n, n) in mV over `duration_s` seconds -> heat map with both axes in seconds."""
    seconds = np.linspace(0.0, duration_s, len(plot_mv), endpoint=False, dtype=np.float32)
    return _square(
        go.Figure(
            go.Heatmap(
                x=seconds,
                y=seconds,
                z=np.round(plot_mv, 2).astype(np.float32),
                zmin=-SPAN_MV,
                zmax=SPAN_MV,
                colorscale=DIVERGING_DARK if is_dark else DIVERGING_LIGHT,
                hovertemplate=texts.RECURRENCE_HOVER,
                colorbar={
                    "title": {"text": "mV", "side": "top"},
                    "thickness": 8,
                    "outlinewidth": 0,
                    "tickvals": [-SPAN_MV, 0, SPAN_MV],
                },
            )
        )
    )


def _square(figure: go.Figure) -> go.Figure:
    figure.update_layout(figure_layout(), height=HEIGHT_PX)
    figure.update_xaxes(title=texts.RECURRENCE_AXIS, showgrid=False, zeroline=False, constrain="domain")
    figure.update_yaxes(showgrid=False, zeroline=False, scaleanchor="x", constrain="domain")
    return figure
