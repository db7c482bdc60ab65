"""One patient: trace on paper, rate, alarms, verdict and why; filled by assets/patient.mjs and its parts."""

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from dashboard import ids, texts
from dashboard.attributes import attributes, field
from dashboard.pages.intervals import intervals_layout
from dashboard.pages.patient_past import choice, notes_layout, trends_layout
from dashboard.pages.why import why_layout
from dashboard.texts import patient as words
from inference.verdict import SUPERCLASS_NAMES, Superclass


def patient_layout(device: str) -> Component:
    """The page of `device` ("site/device"), every number unknown until the first state."""
    return html.Div(
        [
            _head(device),
            html.Div(
                [
                    html.Div(
                        [_rate(), _alarms(), verdict_layout(), notes_layout()], className="patient-side"
                    ),
                    html.Div([_traces(), trends_layout()], className="patient-main"),
                    why_layout(),
                ],
                className="patient",
            ),
        ],
        id=ids.PATIENT,
        **attributes(data_page="patient", data_device=device, data_waits=""),
    )


def _head(device: str) -> Component:
    site, name = device.split("/")
    return html.Div(
        [
            dcc.Link(
                [
                    html.Span(
                        "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK} ", **attributes(aria_hidden="true")
                    ),
                    texts.BACK,
                ],
                href="/",
                className="back",
            ),
            html.H1(name, **field("name")),
            html.Span(className="badge", hidden=True, **field("source")),
            html.Span(site, className="dim"),
            html.Span(className="push dim", **field("lead")),
            html.Span(className="dim num", **field("complete")),
            html.Span(className="dim num", **field("battery")),
            dcc.Link(words.REVIEW, href=f"/review/{device}", className="plain-button"),
            html.Button(texts.DISCHARGE, id=ids.DISCHARGE, type="button", className="plain-button"),
        ],
        className="patient-head",
    )


def _rate() -> Component:
    return html.Section(
        [
            html.H2(texts.HEART_RATE),
            html.Div(
                [
                    html.Span(texts.UNKNOWN, className="rate-value num", **field("rate")),
                    html.Span(texts.BPM, className="unit"),
                ],
                className="rate-line",
            ),
            _limits(),
            html.Div(className="signal", **field("signal")),
            intervals_layout(),
        ],
        className="card area-rate",
        **attributes(aria_label=texts.HEART_RATE),
    )


def _limits() -> Component:
    """The limits in force, filled by the script, with the way to change them."""
    return html.Div(
        [
            html.Span(texts.UNKNOWN, className="num limits-medium", **field("limits")),
            html.Span(className="num", **field("extreme")),
            html.Span(className="small", **field("limits-source")),
            html.Button(texts.LIMITS_EDIT, id=ids.EDIT_LIMITS, type="button", className="plain-button"),
        ],
        className="limits",
    )


def _alarms() -> Component:
    return html.Section(
        [
            html.H2(texts.ALARMS_TITLE),
            html.Ul(className="alarm-list", **field("alarms")),
            dmc.Button(texts.ACKNOWLEDGE, id=ids.ACKNOWLEDGE, size="lg", fullWidth=True, className="primary"),
            html.Div(className="doubt num", **field("doubt")),  # below, so that the button stays in place
        ],
        className="card area-alarms",
        **attributes(aria_label=texts.ALARMS_TITLE),
    )


def _traces() -> Component:
    return html.Section(
        [
            html.Div([html.H2(texts.LIVE_TITLE), _paper_buttons()], className="title"),
            html.Div(
                [
                    html.Div(className="trace paper", **attributes(data_sweep="live")),
                    html.Div(className="paper-scale num", **field("scale")),
                    html.Div(className="paper-frozen num", hidden=True, **field("frozen")),
                ],
                className="paper-box",
                tabIndex="0",
                role="group",
                **attributes(aria_label=words.PAPER_LABEL),
                **field("paper"),
            ),
            _calipers(),
            html.Div(
                [html.H2(texts.MINUTE_TITLE), html.Span(texts.MINUTE_SCALE, className="dim")],
                className="title",
            ),
            html.Div(className="trace minute", **attributes(data_sweep="minute")),
            html.P([texts.FILTER_WARNING, " ", words.KEYS, "."], className="dim small"),
        ],
        className="card area-traces",
        **attributes(aria_label=texts.LIVE_TITLE),
    )


def _paper_buttons() -> Component:
    return html.Div(
        [
            choice("gain", *words.GAINS),
            choice("speed", *words.SPEEDS),
            html.Button(
                words.SCREEN_SIZE,
                id=ids.SCREEN_SIZE,
                type="button",
                className="plain-button",
                title=words.SCREEN_SIZE_TITLE,
            ),
            html.Button(words.FREEZE, id=ids.FREEZE, type="button", className="plain-button freeze"),
        ],
        className="paper-buttons",
    )


def _calipers() -> Component:
    """Under the frozen paper: what lies between the marks, and how far back the paper was scrolled."""
    return html.Div(
        [
            html.Span(words.BETWEEN_MARKS, className="dim"),
            html.Output(
                [
                    html.Span(texts.UNKNOWN, className="num caliper-ms", **field("caliper-ms")),
                    html.Span(
                        [html.Span(texts.UNKNOWN, className="num", **field("caliper-bpm")), " ", texts.BPM]
                    ),
                    html.Span(texts.UNKNOWN, className="num", **field("caliper-mv")),
                ],
                className="caliper-values",
                title="",
                **field("caliper-values"),
            ),
            html.Button(words.ON_TRACE, type="button", className="plain-button", **field("caliper-on-trace")),
            html.Button(words.MARCH_OUT, type="button", className="plain-button", **field("caliper-march")),
            html.Button(words.MARKS_HERE, type="button", className="plain-button", **field("caliper-here")),
            html.Div(className="caliper-scroll", **field("caliper-scroll")),
            html.P(words.MEASURE_WARNING, className="dim small"),
        ],
        className="calipers",
        role="group",
        hidden=True,
        **attributes(aria_label=words.CALIPERS_LABEL),
        **field("calipers"),
    )


def verdict_layout() -> Component:
    """The card of what the model finds, filled by assets/verdict_card.mjs."""
    return html.Section(
        [
            html.Div(
                [
                    html.H2(texts.VERDICT_TITLE),
                    html.Span(className="num verdict-age", **field("verdict-age")),
                    html.Button(
                        words.WHY, id=ids.WHY_OPEN, type="button", className="plain-button", disabled=True
                    ),
                ],
                className="title",
            ),
            _rhythm(),
            html.Div(
                [
                    *(_finding(superclass) for superclass in Superclass),
                    html.Div(
                        [
                            html.P(className="reason", **field("reason")),
                            html.P(className="dim", **field("remedy")),
                        ],
                        className="indeterminate",
                        hidden=True,
                        **field("indeterminate"),
                    ),
                ],
                className="findings",
            ),
            html.P(texts.VERDICT_HELP, className="dim small"),
            html.P(className="dim small", **field("verdict-of")),
        ],
        className="card area-verdict",
        **attributes(aria_label=texts.VERDICT_TITLE),
    )


def _rhythm() -> Component:
    return html.Div(
        [
            html.Span(texts.RHYTHM_LABEL, className="rhythm-label dim"),
            html.Span(className="rhythm-name", **field("rhythm-name")),
            html.Span(texts.UNKNOWN, className="num", **field("rhythm-value")),
            html.Span(className="finding-word", **field("rhythm-word")),
        ],
        className="rhythm",
        **field("rhythm"),
    )


def _finding(superclass: Superclass) -> Component:
    return html.Div(
        [
            html.Span(superclass, className="finding-code", title=SUPERCLASS_NAMES[superclass]),
            html.Span(SUPERCLASS_NAMES[superclass], className="finding-name dim"),
            html.Span(texts.UNKNOWN, className="finding-value num"),
            html.Span(className="finding-word"),
            html.Div(
                [html.Div(className="bar-fill"), html.Div(className="bar-threshold")],
                className="bar",
                **attributes(aria_hidden="true"),
            ),
        ],
        className="finding",
        **attributes(data_superclass=superclass),
    )
