"""Any past moment of a patient: a day as a timeline, down to a second of ECG; drawn by assets/review.mjs."""

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import ids
from dashboard.attributes import attributes, field
from dashboard.texts import review as texts


def chooser_layout() -> Component:
    """Everybody of whom something is stored."""
    return html.Div(
        [
            html.Div([html.H1(texts.CHOOSE)], className="page-head"),
            html.P(texts.CHOOSE_HELP, className="dim"),
            html.P(texts.CHOOSE_LOADING, className="review-note", role="status", **field("note")),
            html.Ul(className="review-devices", **field("devices")),
        ],
        id=ids.REVIEW,
        className="review-choose",
        **attributes(data_page="review"),
    )


def review_layout(device: str) -> Component:
    """The page of `device` ("site/device")."""
    return html.Div(
        [
            _head(device),
            _controls(),
            _said(),
            html.Section(
                [
                    html.Canvas(className="review-canvas", tabIndex=0, role="img", **field("canvas")),
                    html.P(texts.CANVAS_HELP, className="dim small review-help"),
                ],
                className="card review-card",
                **attributes(aria_label=texts.TITLE),
            ),
            html.Div(
                [
                    _list(texts.WINDOW_TITLE, "window"),
                    _list(texts.ALARMS_TITLE, "alarms"),
                    _list(texts.NOTES_TITLE, "notes"),
                ],
                className="review-lists",
            ),
            html.P(className="unseen", **(field("spoken") | attributes(aria_live="polite"))),
        ],
        id=ids.REVIEW,
        **attributes(data_page="review", data_device=device),
    )


def _head(device: str) -> Component:
    site, name = device.split("/")
    return html.Div(
        [
            dcc.Link(texts.TITLE, href="/review", className="back"),
            html.H1(name, **field("name")),
            html.Span(site, className="dim"),
            dcc.Link(texts.LIVE_LINK, href=f"/patient/{device}", className="event-patient"),
            html.Span(className="push num review-when", **field("when")),
        ],
        className="patient-head",
    )


def _controls() -> Component:
    spans = [
        _button(words, "span", str(seconds), "review-span", aria_pressed="false")
        for seconds, words in texts.SPANS.items()
    ]
    return html.Div(
        [
            html.Div(
                [
                    _button("<", "act", "day-before", aria_label=texts.DAY_BEFORE),
                    html.Span(**field("day")),
                    _button(">", "act", "day-after", aria_label=texts.DAY_AFTER),
                ],
                className="review-group",
                role="group",
                **attributes(aria_label=texts.DAY),
            ),
            html.Div(
                spans,
                className="review-group",
                role="group",
                **attributes(aria_label=texts.SPANS_LABEL),
            ),
            html.Div(
                [
                    _button("<<", "act", "earlier", aria_label=texts.EARLIER),
                    _button("-", "act", "wider", aria_label=texts.ZOOM_OUT),
                    _button("+", "act", "closer", aria_label=texts.ZOOM_IN),
                    _button(">>", "act", "later", aria_label=texts.LATER),
                ],
                className="review-group",
            ),
            html.Div(
                [
                    _button(texts.NOW, "act", "now", aria_pressed="false"),
                    _button("10 mm/mV", "act", "gain", title=texts.GAIN_HELP),
                    _button(texts.TRUE_SCALE, "act", "true-scale", title=texts.TRUE_SCALE_HELP),
                    _button(texts.FILTER, "act", "filter", aria_pressed="true", title=texts.FILTER_HELP),
                ],
                className="review-group",
            ),
            html.Div(
                [_button(texts.ANNOTATE, "act", "annotate"), _button(texts.EXPORT, "act", "export")],
                className="review-group push",
            ),
        ],
        className="review-controls",
    )


def _said() -> Component:
    """What is to be said of this time, and the ways to where something is; its place is always kept."""
    return html.Div(
        [
            html.P(texts.LOADING, className="review-note", role="status", **field("note")),
            _button(texts.JUMP_FIRST, "act", "first", disabled="disabled"),
            _button(texts.JUMP_LAST, "act", "last", disabled="disabled"),
        ],
        className="review-said",
    )


def _button(words: str, kind: str, value: str, more: str = "", title: str = "", **named: str) -> Component:
    extra = attributes(**{f"data_{kind}": value, **named}) | ({"title": title} if title else {})
    return html.Button(words, type="button", className=f"plain-button {more}".strip(), **extra)


def _list(title: str, name: str) -> Component:
    return html.Section(
        [html.H2(title), html.Div(className="review-list", **field(name))],
        className="card",
        **attributes(aria_label=title),
    )
