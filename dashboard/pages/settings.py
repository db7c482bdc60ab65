"""Settings: sites, patients, notifications, how long things are kept, and what was changed by whom.

Filled by assets/settings.mjs; nothing is decided here.
"""

from collections.abc import Sequence

from dash import html
from dash.development.base_component import Component

from dashboard import ids
from dashboard.attributes import attributes
from dashboard.pages.channels import channels_parts
from dashboard.texts import settings as texts


def settings_layout() -> Component:
    """The page, empty until the first answer."""
    return html.Div(
        [
            html.Div([html.H1(texts.TITLE), _sections()], className="page-head"),
            html.P(texts.INTRO, className="dim"),
            _section(
                "sites",
                [
                    html.P(texts.SITES_HELP, className="dim small"),
                    _rows(texts.SITE_COLUMNS, ids.SITE_ROWS, "sites"),
                    _note("no_sites", texts.LOADING),
                ],
            ),
            _section(
                "patients",
                [
                    html.P(texts.PATIENTS_HELP, className="dim small"),
                    _rows(texts.PATIENT_COLUMNS, ids.PATIENT_ROWS, "patients"),
                    _note("no_patients", texts.LOADING),
                ],
            ),
            _section("channels", channels_parts()),
            _keeping(),
            _section(
                "log",
                [
                    html.P(texts.LOG_HELP, className="dim small"),
                    _rows(texts.LOG_COLUMNS, ids.LOG_ROWS, "log"),
                    _note("no_log", texts.LOADING),
                ],
            ),
        ],
        id=ids.SETTINGS,
        className="column-page",
        **attributes(data_page="settings", data_waits=""),
    )


def _sections() -> Component:
    return html.Nav(
        [html.A(words, href=f"#{name}") for name, words in texts.SECTIONS.items()],
        className="sections",
        **attributes(aria_label=texts.SECTIONS_LABEL),
    )


def _section(name: str, parts: list[Component]) -> Component:
    title = texts.SECTIONS[name]
    return html.Section(
        [html.H2(title), *parts],
        id=name,
        className="card",
        **attributes(aria_label=title),
    )


def _rows(columns: Sequence[str], name: str, field: str) -> Component:
    head = html.Thead(html.Tr([html.Th(column, scope="col") for column in columns]))
    return html.Table(
        [head, html.Tbody(id=name)],
        className=f"table set set-{field}",
        hidden=True,
        **attributes(data_field=field),
    )


def _note(field: str, words: str) -> Component:
    return html.P(words, className="table-empty", role="status", **attributes(data_field=field))


def _keeping() -> Component:
    facts = [
        part
        for key, words in texts.KEEPING_FIELDS.items()
        for part in (html.Dt(words), html.Dd(texts.NONE, **attributes(data_field=f"keep_{key}")))
    ]
    return _section(
        "keeping",
        [
            html.P(texts.KEEPING_HELP, className="dim small"),
            html.Dl(facts, className="facts"),
            html.Div(className="keep-form", **attributes(data_field="keep_form")),
            html.P(className="set-message", role="status", **attributes(data_field="keep_message")),
        ],
    )
