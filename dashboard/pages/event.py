"""One alarm: its strip from 10 s before to 20 s after, and what became of it; drawn by assets/event.mjs."""

import logging
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from dashboard import ids, texts
from dashboard.attributes import attributes
from dashboard.event_view import EventView, event_view
from dashboard.hub import Hub
from dashboard.moments import moment
from dashboard.past import Past
from dashboard.strip import Piece, strip_data
from inference.alarms.alarm import Alarm, AlarmKind, AlarmState
from inference.alarms.history import transitions_of
from inference.alarms.records import Transition
from ingest.store.errors import StoreError

RATE_KINDS = {AlarmKind.EXTREME_RATE, AlarmKind.RATE_LIMIT}  # the others heed no limits

logger = logging.getLogger(__name__)


def event_layout(device: str, kind: AlarmKind, since_us: int) -> Component:
    """The page of the alarm of `kind` that `device` ("site/device") has had since `since_us`."""
    return html.Div(
        [
            _head(device, kind, since_us),
            html.Div([_strip(), _log()], className="event"),
            dcc.Store(id=ids.EVENT_WANTED),
            dcc.Store(id=ids.EVENT_STRIP),
        ],
        id=ids.EVENT,
        **attributes(data_page="event", data_device=device, data_kind=kind, data_since=str(since_us)),
    )


def _head(device: str, kind: AlarmKind, since_us: int) -> Component:
    site, name = device.split("/")
    return html.Div(
        [
            dcc.Link(texts.ALARMS_LINK, href="/alarms", className="back"),
            html.H1(texts.KINDS[kind], id=ids.EVENT_TITLE),
            dcc.Link(
                html.Span(name, **attributes(data_field="name")),
                href=f"/patient/{device}",
                className="event-patient",
            ),
            html.Span(site, className="dim"),
            html.Span([texts.SINCE, " ", moment(since_us)], className="dim push"),
        ],
        className="patient-head",
    )


def _strip() -> Component:
    return html.Section(
        [
            html.Div(
                [html.H2(texts.STRIP_TITLE), html.Span(texts.SCALE, className="dim")], className="title"
            ),
            html.Div(className="event-rows", **attributes(data_field="rows")),
            html.P(texts.LOADING_STRIP, id=ids.EVENT_NOTE, className="event-note", role="status"),
            html.P(texts.FILTER_WARNING, className="dim small"),
        ],
        className="card",
        **attributes(aria_label=texts.STRIP_TITLE),
    )


def _log() -> Component:
    return html.Section(
        [
            html.Div(className="event-now", **attributes(data_field="now")),
            dmc.Button(
                texts.ACKNOWLEDGE, id=ids.EVENT_ACKNOWLEDGE, size="lg", fullWidth=True, className="primary"
            ),
            html.H2(texts.LOG_TITLE),
            html.Div(id=ids.EVENT_LOG),
        ],
        className="card event-log",
        **attributes(aria_label=texts.LOG_TITLE),
    )


def log_list(transitions: Sequence[Transition]) -> Component:
    """Every transition, oldest first."""
    if not transitions:
        return html.P(texts.LOG_EMPTY, className="dim")
    again = {
        after.at_us
        for before, after in pairwise(transitions)
        if before.state is AlarmState.LATCHED and after.state is AlarmState.ON
    }
    return html.Ol([_line(each, has_strip=each.at_us in again) for each in transitions], className="log")


def _line(each: Transition, *, has_strip: bool) -> Component:
    strip = html.Button(texts.LOG_STRIP, type="button", **attributes(data_moment=str(each.at_us)))
    facts = [texts.PRIORITIES[each.priority]]
    if each.who:
        facts.append(texts.LOG_WHO.format(who=each.who))
    if each.escalation:
        facts.append(texts.ESCALATED.format(count=each.escalation))
    if each.limits_bpm and each.kind in RATE_KINDS:
        names = ("lowest", "low", "high", "highest")
        limits = {name: f"{limit:g}" for name, limit in zip(names, each.limits_bpm, strict=True)}
        facts.append(texts.LOG_LIMITS.format(**limits))
    if each.model:
        facts.append(texts.LOG_MODEL.format(model=each.model))
    return html.Li(
        [
            moment(each.at_us, "time"),
            html.Span(texts.STATES[each.state], className="log-state"),
            html.Span(each.text, className="log-text"),
            html.Span(" · ".join(facts), className="dim small log-facts"),
            *([strip] if has_strip else []),
        ]
    )


def register_event(
    app: Dash, past: Past, hub: Hub, keep_days: float | None, clock_us: Callable[[], int] | None = None
) -> None:
    """The callbacks of the page; `keep_days` counts until ingest has said how long things are kept."""
    now_us = clock_us or (lambda: time.time_ns() // 1000)

    @app.callback(
        Output(ids.EVENT_STRIP, "data"),
        Output(ids.EVENT_NOTE, "children"),
        Output(ids.EVENT_LOG, "children"),
        Input(ids.EVENT_WANTED, "data"),
        prevent_initial_call=True,
    )
    def show_event(wanted: dict[str, Any]) -> tuple[dict[str, Any], str, Component]:
        device, kind, since_us = wanted["device"], AlarmKind(wanted["kind"]), int(wanted["since_us"])
        moment_us = int(wanted["moment_us"])
        keeping = hub.look(lambda monitor, _at_us: monitor.in_force.keeping)
        data, note, log = event_of(
            past,
            hub.alarm(device, kind),
            (device, kind, since_us),
            now_us(),
            keep_days if keeping is None else keeping.keep_days,
            moment_us=moment_us,
        )
        return data | {"event": f"{device}/{kind}/{since_us}", "moment_us": moment_us}, note, log

    in_browser: Any = app.clientside_callback  # Dash has no hints for it
    in_browser("(strip) => window.wristlead.keepStrip(strip)", Input(ids.EVENT_STRIP, "data"))


def event_of(  # noqa: PLR0913 - what a page asks, and what the process knows
    past: Past,
    active: Alarm | None,
    event: tuple[str, AlarmKind, int],
    now_us: int,
    keep_days: float | None,
    *,
    moment_us: int | None = None,
) -> tuple[dict[str, Any], str, Component]:
    """The strip's data, what is missing in words, and the log of one alarm.

    The strip is of the alarm's beginning, or of `moment_us` within it.
    """
    device, kind, since_us = event
    moment_us = since_us if moment_us is None else moment_us
    if active is not None and active.since_us != since_us:
        active = None
    try:
        transitions = past.ask(lambda engine: transitions_of(engine, device, kind, since_us))
        pieces = past.strip(device, moment_us)
    except StoreError as error:
        logger.warning("no strip of %s %s %d: %s", device, kind, since_us, error)
        view = EventView(texts.STORE_UNREADABLE.format(reason=error), is_known=True, is_final=False)
        return _told([], view), view.note, log_list([])
    view = event_view(
        moment_us=moment_us,
        now_us=now_us,
        keep_days=keep_days,
        transitions=transitions,
        active=active,
        pieces=pieces,
    )
    return _told(pieces if view.is_known else [], view), view.note, log_list(transitions)


def _told(pieces: Sequence[Piece], view: EventView) -> dict[str, Any]:
    return strip_data(pieces) | {"is_final": view.is_final, "is_known": view.is_known}
