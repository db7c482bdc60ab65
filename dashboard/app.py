"""The Dash application and its FastAPI server, made anew by each call: no callback lives at module level."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from fastapi import FastAPI
from starlette.types import ASGIApp

from dashboard import ids, texts, theme
from dashboard.attributes import attributes
from dashboard.data_routes import add_data_routes
from dashboard.guard import Guard, own_names
from dashboard.house_routes import add_house_routes
from dashboard.hub import Hub
from dashboard.pages.alarms import alarms_layout, register_alarms
from dashboard.pages.connect import connect_layout
from dashboard.pages.devices import devices_layout
from dashboard.pages.event import event_layout, register_event
from dashboard.pages.model import model_layout, register_model
from dashboard.pages.patient import patient_layout
from dashboard.pages.recording import recording_layout
from dashboard.pages.recordings import recordings_layout
from dashboard.pages.review import chooser_layout, review_layout
from dashboard.pages.settings import settings_layout
from dashboard.pages.wall import wall_layout
from dashboard.past import Past
from dashboard.patient_route import register_patient
from dashboard.recording_routes import add_recording_routes
from dashboard.review_routes import add_review_routes
from dashboard.review_source import ReviewSource
from dashboard.server import add_live_route
from dashboard.texts.scripts import SCRIPT
from inference.alarms.alarm import AlarmKind
from inference.alarms.rules import INSIDE_BPM
from inference.released import RELEASED_WEIGHTS
from ingest.settings import Settings
from ingest.topics import ID_PATTERN

DEVICE = rf"({ID_PATTERN.pattern}/{ID_PATTERN.pattern})"
# What stands at which path; a layout takes the names of all devices, and what its path says.
PAGES: tuple[tuple[re.Pattern[str], Callable[..., Component]], ...] = (
    (re.compile(r"/?"), lambda _: wall_layout()),
    (re.compile(r"/alarms/?"), alarms_layout),
    (re.compile(r"/devices/?"), lambda _: devices_layout()),
    (re.compile(r"/model/?"), lambda _: model_layout()),
    (re.compile(r"/(?:settings|channels)/?"), lambda _: settings_layout()),  # channels: an old address
    (re.compile(r"/connect/?"), lambda _: connect_layout()),
    (re.compile(r"/review/?"), lambda _: chooser_layout()),
    (re.compile(r"/recordings/?"), lambda _: recordings_layout()),
    (re.compile(rf"/recording/({ID_PATTERN.pattern})/?"), lambda _, one: recording_layout(one)),
    (re.compile(rf"/review/{DEVICE}/?"), lambda _, device: review_layout(device)),
    (re.compile(rf"/patient/{DEVICE}/?"), lambda _, device: patient_layout(device)),
    (
        re.compile(rf"/event/{DEVICE}/({'|'.join(AlarmKind)})/([0-9]{{1,16}})/?"),
        lambda _, device, kind, since_us: event_layout(device, AlarmKind(kind), int(since_us)),
    ),
)
# Dash puts only main.mjs into the page: early.js stands in the head, and a module that is both put there and
# imported by another would run twice.
OTHER_SCRIPTS = r"^(?!main\.mjs$).*\.m?js$"


def create_server(settings: Settings, hub: Hub) -> ASGIApp:
    """The whole web server: pages, callbacks and `/live`, behind the guard."""
    server = FastAPI(title=texts.PRODUCT, docs_url=None, redoc_url=None, openapi_url=None)
    past = Past(settings.store_address)
    add_live_route(server, hub)
    add_review_routes(server, past, ReviewSource(past), hub.names)
    add_recording_routes(server, settings, hub, past)
    add_data_routes(server, past)  # before Dash, which answers every path that is left
    add_house_routes(server, hub, past, settings.weights_dir or RELEASED_WEIGHTS)
    create_app(settings, hub, server, past)
    return Guard(server, own_names(settings.dashboard_host))


def create_app(settings: Settings, hub: Hub, server: FastAPI, past: Past) -> Dash:
    """The Dash application on `server`, with its callbacks."""
    app = Dash(
        "dashboard",
        server=server,  # type: ignore[arg-type]  # Dash's hints know Flask only
        backend="fastapi",
        assets_ignore=OTHER_SCRIPTS,
        title=texts.PRODUCT,
        update_title="",
        suppress_callback_exceptions=True,  # the pages' elements come after the shell's
        index_string=_index(settings),
    )
    app.layout = shell_layout()
    _register_callbacks(app, hub)
    register_patient(server, past, hub)
    register_event(app, past, hub, settings.keep_days)
    register_alarms(app, past, hub)
    register_model(app, settings.weights_dir or RELEASED_WEIGHTS)
    setup: Any = app._setup_server  # noqa: SLF001 - else Dash looks for assets at the first visit of "/" alone
    setup()
    return app


def page_layout(path: str, names: Mapping[str, str]) -> Component:
    """The page at `path`; `names` of all devices that are known."""
    for pattern, layout in PAGES:
        if found := pattern.fullmatch(path):
            return layout(names, *found.groups())
    return html.Section([html.H1(texts.NOT_FOUND), dcc.Link(texts.BACK, href="/")], className="empty")


def shell_layout() -> Component:
    """What stands around every page: header, banners, notice and footer."""
    shell: Component = dmc.MantineProvider(
        [
            dcc.Location(id=ids.LOCATION),
            html.A(texts.SKIP, href=f"#{ids.PAGE}", className="skip"),
            _header(),
            html.Div(id=ids.BANNERS, className="banners", role="alert"),
            html.Main(id=ids.PAGE, tabIndex=-1),
            _footer(),
            _notice(),
            html.Div(id=ids.ANNOUNCE_URGENT, className="unseen", **attributes(aria_live="assertive")),
            html.Div(id=ids.ANNOUNCE_QUIET, className="unseen", **attributes(aria_live="polite")),
        ],
        id=ids.PROVIDER,
        theme=theme.mantine_theme(),
        forceColorScheme="dark",
    )
    return shell


def _header() -> Component:
    return html.Header(
        [
            dcc.Link(texts.PRODUCT, href="/", className="brand"),
            html.Nav(
                [_navigation_link(*each) for each in texts.NAVIGATION],
                **attributes(aria_label=texts.NAV_LABEL),
            ),
            html.A(id=ids.WORST_ALARM, className="worst", href="/", hidden=True),
            html.Span(className="push"),
            html.A(id=ids.PAUSED, className="paused num", href="/alarms", hidden=True),
            _sound(),
            html.Span(id=ids.CONNECTION, className="connection"),
            html.Span(id=ids.CLOCK, className="clock num"),
        ],
        className="top",
    )


def _navigation_link(href: str, name: str, word: str) -> Component:
    icon = html.Span(className=f"nav-icon nav-{name}", **attributes(aria_hidden="true"))
    return dcc.Link([icon, html.Span(word, className="nav-word")], href=href, className=f"to-{name}")


def _sound() -> Component:
    """Switches the sounds of this browser, filled by assets/sound.mjs."""
    return html.Button(
        [
            html.Span(className="sound-icon", **attributes(aria_hidden="true")),
            html.Span(className="sound-word"),
        ],
        id=ids.SOUND,
        type="button",
        className="sound",
    )


def _footer() -> Component:
    return html.Footer(
        [
            html.Span(texts.RESEARCH_USE, className="research"),
            dmc.SegmentedControl(
                id=ids.THEME,
                data=[{"value": value, "label": label} for value, label in texts.THEMES.items()],
                value="dark",
                size="xs",
                **attributes(aria_label=texts.THEME_LABEL),
            ),
            html.Button(texts.NOTICE_OPEN, id=ids.NOTICE_OPEN, type="button", className="quiet-button"),
        ],
        className="bottom",
    )


def _notice() -> Component:
    """Opened by assets/notice.mjs, at first use and when it is asked for."""
    notice: Component = html.Dialog(
        [
            html.H2(texts.NOTICE_TITLE, id=ids.NOTICE_TITLE),
            html.P(texts.NOTICE_TEXT),
            html.Label(texts.NOTICE_WHO, htmlFor=ids.NOTICE_WHO, className="field-label"),
            dcc.Input(id=ids.NOTICE_WHO, type="text", maxLength=64, className="field"),
            html.P(texts.NOTICE_WHO_HELP, className="dim small"),
            html.Div(
                html.Button(
                    texts.NOTICE_ACCEPT, id=ids.NOTICE_ACCEPT, type="button", className="solid-button"
                ),
                className="dialog-buttons",
            ),
        ],
        id=ids.NOTICE,
        className="dialog",
        **attributes(aria_labelledby=ids.NOTICE_TITLE),
    )
    return notice


def _register_callbacks(app: Dash, hub: Hub) -> None:
    @app.callback(Output(ids.PAGE, "children"), Input(ids.LOCATION, "pathname"))
    def show_page(path: str | None) -> Component:
        return page_layout(path or "/", hub.names())

    _register_in_browser(app)


def _register_in_browser(app: Dash) -> None:
    """Callbacks that never leave the browser; the functions stand in assets/early.js."""
    in_browser: Any = app.clientside_callback  # Dash has no hints for it
    in_browser(
        "(value) => window.wristlead.chooseTheme(value)",
        Output(ids.PROVIDER, "forceColorScheme"),
        Input(ids.THEME, "value"),
    )


def _index(settings: Settings) -> str:
    """The HTML around Dash: tokens, the theme before the first paint, texts and limits for the scripts."""
    facts = {
        "texts": SCRIPT,
        "hop_s": settings.hop_s,
        "rate_margin_bpm": INSIDE_BPM,
    }
    shared = json.dumps(facts).replace("<", "\\u003c")
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="dark" data-mantine-color-scheme="dark">
  <head>
    {{%metas%}}
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>{{%title%}}</title>
    <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
    <style>{theme.css_variables()}</style>
    <script id="facts" type="application/json">{shared}</script>
    <script src="/assets/early.js"></script>
    {{%css%}}
  </head>
  <body>
    <noscript>{texts.NO_SCRIPT}</noscript>
    {{%app_entry%}}
    <div>{{%config%}}{{%scripts%}}{{%renderer%}}</div>
  </body>
</html>"""
