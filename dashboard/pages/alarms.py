"""All alarms: those that are there (filled by assets/alarms.mjs), and those of the past, from the store."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from dashboard import ids, texts
from dashboard.alarm_table import HOUR_US, history_table, late_episode, noisiest, noisiest_list
from dashboard.attributes import attributes
from dashboard.hub import Hub
from dashboard.monitor import MAX_DEVICES
from dashboard.past import Past
from inference.alarms.alarm import AlarmKind, AlarmPriority, AlarmState
from inference.alarms.history import PastEpisode, Wanted, past_episodes
from inference.alarms.noisiest import noisiest_patients
from inference.alarms.retrospective import retrospective_events
from ingest.store.errors import StoreError
from ingest.wire import END_OF_TIME_US

NOISE_HOURS = 24
LATE_HOURS = 24
DEFAULT_SPAN_H = "24"

logger = logging.getLogger(__name__)


def alarms_layout(names: Mapping[str, str]) -> Component:
    """The page; `names` of the devices by which the past can be filtered."""
    return html.Div(
        [
            html.Div(
                [
                    html.H1(texts.ALARMS_TITLE),
                    html.Button(
                        texts.SOUND_TEST, id=ids.SOUND_TEST, type="button", className="plain-button push"
                    ),
                    _pause(),
                ],
                className="page-head",
            ),
            html.P(className="pause-note", role="status", hidden=True, **attributes(data_field="pause_note")),
            _active(),
            _past(names),
            html.Section(
                [html.H2(texts.NOISIEST_TITLE), html.Div(id=ids.NOISIEST)],
                className="card",
                **attributes(aria_label=texts.NOISIEST_TITLE),
            ),
            dcc.Store(id=ids.HISTORY_CHANGED),
        ],
        id=ids.ALARMS,
        className="column-page",
        **attributes(data_page="alarms"),
    )


def _pause() -> Component:
    button: Component = dmc.Button(texts.PAUSE, id=ids.PAUSE, variant="default", size="sm")
    return button


def _active() -> Component:
    columns = [html.Th(name, scope="col") for name in texts.ACTIVE_COLUMNS]
    return html.Section(
        [
            html.H2(texts.ACTIVE_TITLE),
            html.Table(
                [html.Thead(html.Tr(columns)), html.Tbody(id=ids.ACTIVE_ALARMS)],
                className="table active",
                hidden=True,
                **attributes(data_field="active"),
            ),
            html.P(
                texts.LOADING_ALARMS, className="table-empty", role="status", **attributes(data_field="none")
            ),
        ],
        className="card",
        **attributes(aria_label=texts.ACTIVE_TITLE),
    )


def _past(names: Mapping[str, str]) -> Component:
    return html.Section(
        [
            html.H2(texts.HISTORY_TITLE),
            html.Div(
                [
                    _filter(ids.HISTORY_SPAN, texts.FILTER_SPAN, texts.SPANS.items(), DEFAULT_SPAN_H),
                    _filter(ids.HISTORY_DEVICE, texts.FILTER_DEVICE, names.items()),
                    _filter(ids.HISTORY_KIND, texts.FILTER_KIND, texts.KINDS.items()),
                    _filter(ids.HISTORY_PRIORITY, texts.FILTER_PRIORITY, texts.PRIORITIES.items()),
                    _filter(ids.HISTORY_STATE, texts.FILTER_STATE, texts.STATES.items()),
                ],
                className="filters",
            ),
            html.Div(id=ids.HISTORY, className="history-box", **attributes(aria_live="off")),
        ],
        className="card",
        **attributes(aria_label=texts.HISTORY_TITLE),
    )


def _filter(name: str, label: str, words: Iterable[tuple[str, str]], value: str | None = None) -> Component:
    choice: Component = dmc.Select(
        id=name,
        label=label,
        data=[{"value": str(each), "label": word} for each, word in words],
        value=value,
        placeholder=texts.FILTER_ANY,
        clearable=value is None,
        allowDeselect=value is None,
        size="sm",
    )
    return choice


def register_alarms(app: Dash, past: Past, hub: Hub, clock_us: Callable[[], int] | None = None) -> None:
    """The callbacks of the page."""
    now_us = clock_us or (lambda: time.time_ns() // 1000)

    @app.callback(
        Output(ids.HISTORY, "children"),
        Input(ids.HISTORY_SPAN, "value"),
        Input(ids.HISTORY_DEVICE, "value"),
        Input(ids.HISTORY_KIND, "value"),
        Input(ids.HISTORY_PRIORITY, "value"),
        Input(ids.HISTORY_STATE, "value"),
        Input(ids.HISTORY_CHANGED, "data"),
    )
    def show_history(
        span_h: str | None,
        device: str | None,
        kind: str | None,
        priority: str | None,
        state: str | None,
        _changed: int | None,
    ) -> Component:
        wanted = wanted_of((span_h, device, kind, priority, state), now_us())
        return history_of(past, hub.names(), wanted, now_us())

    @app.callback(Output(ids.NOISIEST, "children"), Input(ids.HISTORY_CHANGED, "data"))
    def show_noisiest(_changed: int | None) -> Component:
        return noisiest_of(past, hub.names(), now_us())


def wanted_of(filters: Sequence[str | None], now_us: int) -> Wanted:
    """The values of the five filters, in the order of the page; None is any."""
    span_h, device, kind, priority, state = filters
    return Wanted(
        from_us=now_us - round(float(span_h or DEFAULT_SPAN_H) * HOUR_US),
        device=device,
        kind=AlarmKind(kind) if kind else None,
        priority=AlarmPriority(priority) if priority else None,
        state=AlarmState(state) if state else None,
    )


def history_of(past: Past, names: Mapping[str, str], wanted: Wanted, now_us: int) -> Component:
    """The table of the past, or why there is none."""
    try:
        episodes = past.ask(lambda engine: past_episodes(engine, wanted))
        return history_table(episodes, names, late_of(past, wanted, now_us))
    except StoreError as error:
        return _unreadable(error)


def late_of(past: Past, wanted: Wanted, now_us: int) -> list[PastEpisode]:
    """What data that came late hold of one patient's newest LATE_HOURS; none of a priority or a state.

    Every window of that time is read and judged again, too many for all patients or for a month.
    """
    device = wanted.device
    if device is None or wanted.state is not None or wanted.priority not in {None, AlarmPriority.ADVISORY}:
        return []
    from_us = max(wanted.from_us, now_us - LATE_HOURS * HOUR_US)
    found = past.ask(lambda engine: retrospective_events(engine, device, from_us, END_OF_TIME_US))
    return [late_episode(each) for each in found if wanted.kind in {None, each.kind}]


def noisiest_of(past: Past, names: Mapping[str, str], now_us: int) -> Component:
    """The patients with most alarms an hour, or why nobody knows."""
    from_us = now_us - NOISE_HOURS * HOUR_US
    try:
        loads = past.ask(lambda engine: noisiest_patients(engine, MAX_DEVICES, span_us=(from_us, None)))
        extents = past.extents(load.device for load in loads)
    except StoreError as error:
        return _unreadable(error)
    return noisiest_list(noisiest(loads, extents, from_us, now_us), names)


def _unreadable(error: StoreError) -> Component:
    logger.warning("no alarms of the past: %s", error)
    return html.P(texts.STORE_UNREADABLE.format(reason=error), className="table-empty")
