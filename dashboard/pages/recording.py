"""One finished recording: trace, verdict and why, words, files; filled by assets/recording.mjs."""

from dash import html
from dash.development.base_component import Component

from dashboard import ids
from dashboard import texts as shared
from dashboard.attributes import attributes, field
from dashboard.pages.patient import verdict_layout
from dashboard.pages.recordings import back_link
from dashboard.pages.why import why_layout
from dashboard.texts import recordings as texts
from dashboard.texts.review import FILTER_HELP


def recording_layout(recording_id: str) -> Component:
    """The page of that recording, every value unknown until it came."""
    return html.Div(
        [
            html.Div(
                [
                    back_link(),
                    html.H1(texts.WHOLE, **field("title")),
                    html.Span(className="push dim num", **field("started")),
                    html.Button(texts.REPLAY, type="button", className="plain-button", **field("replay")),
                    html.Button(texts.REMOVE, type="button", className="plain-button", **field("remove")),
                ],
                className="patient-head",
            ),
            html.P(texts.LOADING, className="review-note", role="status", **field("note")),
            html.A(className="recording-live", hidden=True, **field("live")),
            html.Div(
                [
                    html.Div([_rate(), verdict_layout(), _take()], className="patient-side"),
                    html.Div([_trace(), _windows(), _words(), _facts()], className="patient-main"),
                    why_layout(),
                ],
                className="patient",
            ),
        ],
        id=ids.RECORDING,
        **attributes(data_page="recording", data_recording=recording_id),
    )


def _rate() -> Component:
    return html.Section(
        [
            html.H2(shared.HEART_RATE),
            html.Div(
                [
                    html.Span(shared.UNKNOWN, className="rate-value num", **field("rate")),
                    html.Span(shared.BPM, className="unit"),
                ],
                className="rate-line",
            ),
            html.P(className="num", **field("rate-range")),
            html.Dl(
                [
                    html.Dt(texts.COLUMNS[4], className="dim"),
                    html.Dd(shared.UNKNOWN, **field("found")),
                    html.Dt(texts.COLUMNS[5], className="dim"),
                    html.Dd(shared.UNKNOWN, **field("vendor")),
                ],
                className="beside",
            ),
        ],
        className="card recording-rate",
        **attributes(aria_label=shared.HEART_RATE),
    )


def _trace() -> Component:
    buttons = (("<<", "earlier"), ("-", "wider"), ("+", "closer"), (">>", "later"), ("25 mm/s", "true-scale"))
    names = {
        "earlier": "Earlier",
        "wider": "Wider",
        "closer": "Closer",
        "later": "Later",
        "true-scale": "25 mm/s",
    }
    return html.Section(
        [
            html.Div(
                [
                    html.H2(texts.TRACE_TITLE),
                    html.Span(className="num dim", **field("at")),
                    html.Div(
                        [
                            *(_act(words, act, names[act]) for words, act in buttons),
                            _act("10 mm/mV", "gain", "10 mm/mV"),
                            _act(
                                "0.5-40 Hz",
                                "filter",
                                FILTER_HELP,
                                aria_pressed="true",
                            ),
                        ],
                        className="review-group push",
                    ),
                ],
                className="title recording-title",
            ),
            html.Canvas(className="recording-canvas", tabIndex=0, role="img", **field("canvas")),
            html.Div(
                className="recording-place", **attributes(data_field="place", data_label=texts.POSITION)
            ),
            html.P(texts.TRACE_HELP, className="dim small review-help"),
        ],
        className="card recording-trace-card",
        **attributes(aria_label=texts.TRACE_TITLE),
    )


def _act(words: str, act: str, name: str, **more: str) -> Component:
    named = attributes(data_act=act, aria_label=name, **more)
    return html.Button(words, type="button", className="plain-button", **named)


def _windows() -> Component:
    return html.Section(
        [
            html.H2(texts.WINDOWS_TITLE),
            html.P(texts.WINDOWS_HELP, className="dim small"),
            html.Div(
                className="recording-windows",
                role="group",
                **attributes(aria_label=texts.WINDOWS_TITLE),
                **field("windows"),
            ),
            html.P(className="dim small", **field("windows-note")),
        ],
        className="card recording-windows-card",
        **attributes(aria_label=texts.WINDOWS_TITLE),
    )


def _words() -> Component:
    return html.Section(
        [html.H2(texts.WORDS_TITLE), html.Div(className="recording-words", **field("words"))],
        className="card recording-words-card",
        **attributes(aria_label=texts.WORDS_TITLE),
    )


def _facts() -> Component:
    return html.Section(
        [
            html.H2(texts.FACTS_TITLE),
            html.Dl(className="recording-facts", **field("facts")),
            html.Ul(className="dim small", **field("remarks")),
        ],
        className="card recording-facts-card",
        **attributes(aria_label=texts.FACTS_TITLE),
    )


def _take() -> Component:
    return html.Section(
        [
            html.H2(texts.TAKE_TITLE),
            html.Div(className="recording-paper", **field("paper")),
            html.Div(
                [
                    html.Button(words, type="button", className="plain-button", **attributes(data_file=path))
                    for path, words in texts.FILES.items()
                ],
                className="recording-files",
            ),
            html.P(className="small", role="status", **field("made")),
        ],
        className="card recording-take-card",
        **attributes(aria_label=texts.TAKE_TITLE),
    )
