"""Why the model answered as it did in one window: plots, and what speaks for or against; by why.mjs."""

from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard import ids, texts
from dashboard.attributes import attributes
from dashboard.texts import patient as words


def why_layout() -> Component:
    """Closed until somebody asks; every picture keeps its place while it is waited for."""
    return html.Section(
        [
            html.Div(
                [
                    html.H2(words.WHY_TITLE),
                    html.Span(className="dim num", **_why("of")),
                    html.Button(
                        words.WHY_CLOSE, type="button", className="plain-button push", **_why("close")
                    ),
                ],
                className="why-head",
            ),
            html.P(words.WHY_HELP, className="dim"),
            html.P(className="why-note", role="status", **_why("note")),
            html.Div(
                [
                    html.Div(
                        className="why-answers",
                        role="radiogroup",
                        **attributes(aria_label=words.WHY_ANSWERS),
                        **_why("answers"),
                    ),
                    _legend(),
                ],
                className="why-choice",
            ),
            html.Div(
                [
                    _figure("wave", words.WHY_WAVE, ""),
                    _shap(),
                    _figure("lag", words.WHY_LAG, words.WHY_LAG_HELP),
                    _figure("beat", words.WHY_BEAT, words.WHY_BEAT_HELP),
                    _figure("rhythm", words.WHY_RHYTHM, words.WHY_RHYTHM_HELP),
                ],
                className="why-figures",
                **_why("figures"),
            ),
        ],
        id=ids.WHY,
        className="card why",
        hidden=True,
        **attributes(aria_label=words.WHY_TITLE),
    )


def _legend() -> Component:
    return html.Div(
        [
            html.Span(words.WHY_AGAINST),
            html.Span(className="why-bar", **attributes(aria_hidden="true")),
            html.Span(words.WHY_FOR),
            html.Button(words.WHY_BARE, type="button", className="plain-button", **_why("bare")),
        ],
        className="why-legend dim",
    )


def _figure(name: str, title: str, about: str) -> Component:
    return html.Figure(
        [
            html.Figcaption([html.B(title), html.Span(className="dim num", **_why(f"{name}-scale"))]),
            html.Canvas(role="img", **_why(name)),
            html.P(about, className="dim small"),
            *([html.P(className="small", role="status", **_why("grad_cam"))] if name == "wave" else []),
        ],
        className=f"why-figure why-{name}",
        **_why(f"{name}-figure"),
    )


def _shap() -> Component:
    return html.Figure(
        [
            html.Figcaption([html.B(words.WHY_SHAP), html.Span(className="dim num", **_why("shap-scale"))]),
            html.Div(
                [
                    html.Canvas(role="img", **_why("shap")),
                    html.Div(
                        [
                            html.Button(
                                words.SHAP_ASK, type="button", className="solid-button", **_why("shap-ask")
                            ),
                            html.Progress(max="1", value="0", **_why("shap-progress")),
                        ],
                        className="why-ask",
                        **_why("shap-waiting"),
                    ),
                ],
                className="why-stage",
            ),
            html.P(texts.UNKNOWN, className="small", role="status", **_why("gradient_shap")),
        ],
        className="why-figure why-shap",
        **_why("shap-figure"),
    )


def _why(name: str) -> dict[str, Any]:
    """The attribute by which why.mjs finds what it fills."""
    return attributes(data_why=name)
