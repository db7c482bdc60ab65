"""What the RR intervals tell beside the rate: a quiet row in its card, filled by assets/intervals.mjs."""

from dash import html
from dash.development.base_component import Component

from dashboard import texts
from dashboard.attributes import attributes
from dashboard.texts import patient as words


def intervals_layout() -> Component:
    """Four small numbers, unknown until the first vitals; each keeps its place whatever it says."""
    return html.Dl(
        [
            html.Div(
                [
                    html.Dt(label, className="dim"),
                    html.Dd(
                        [
                            html.Span(
                                texts.UNKNOWN,
                                className="num",
                                **attributes(data_field=f"interval-{name}"),
                            ),
                            html.Span(className="unit", **attributes(data_field=f"interval-{name}-unit")),
                        ]
                    ),
                ],
                title=explanation,
            )
            for name, (label, explanation) in words.INTERVALS.items()
        ],
        className="intervals",
        **attributes(aria_label=words.INTERVALS_TITLE),
    )
