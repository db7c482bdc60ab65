"""Files of finished recordings: adding them, what was recognised, and the list; by assets/recordings.mjs."""

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import ids
from dashboard.attributes import attributes, field
from dashboard.texts import recordings as texts
from ingest.recordings.recording import Format


def recordings_layout() -> Component:
    """The page."""
    return html.Div(
        [
            html.Div([html.H1(texts.TITLE)], className="page-head"),
            html.P(texts.ABOUT, className="dim recordings-about"),
            html.Div(
                [_drop(), html.Div([_hints(), _demo()], className="recordings-side")],
                className="recordings-add",
            ),
            html.Section(
                [html.H2(texts.UPLOADS), html.Ul(className="uploads", **field("uploads"))],
                className="card",
                hidden=True,
                **attributes(aria_label=texts.UPLOADS),
                **field("uploads-card"),
            ),
            html.Section(
                [
                    html.H2(texts.LIST),
                    html.P(texts.LIST_LOADING, className="dim", role="status", **field("note")),
                    html.Table(
                        [
                            html.Thead(html.Tr([html.Th(words, scope="col") for words in texts.COLUMNS])),
                            html.Tbody(**field("rows")),
                        ],
                        className="table recordings-table",
                    ),
                ],
                className="card",
                **attributes(aria_label=texts.LIST),
            ),
        ],
        id=ids.RECORDINGS,
        className="alarms-page recordings-page",
        **attributes(data_page="recordings"),
    )


def _drop() -> Component:
    return html.Section(
        [
            html.P(texts.DROP, className="drop-title"),
            html.Button(texts.CHOOSE, type="button", className="solid-button", **field("choose")),
            html.P(texts.DROP_MORE, className="dim small"),
        ],
        className="card drop",
        **attributes(aria_label=texts.DROP),
        **field("drop"),
    )


def _hints() -> Component:
    return html.Details(
        [
            html.Summary(texts.HINTS_TITLE),
            html.P(texts.HINTS_HELP, className="dim small"),
            html.Div([_hint(name) for name in texts.FIELDS], className="hint-fields"),
        ],
        className="card hints",
        **field("hints"),
    )


def _hint(name: str) -> Component:
    field_id = f"hint-{name}"
    if name == "format":
        choices = [
            {"label": texts.FIELD_HELP[name], "value": ""},
            *({"label": str(f), "value": str(f)} for f in Format),
        ]
        box = html.Div(
            **attributes(data_choices=" ".join(each["value"] for each in choices)), className="hint-box"
        )
    else:
        box = html.Div(className="hint-box")
    return html.Div(
        [html.Label(texts.FIELDS[name], htmlFor=field_id, className="field-label"), box],
        className="hint",
        **attributes(data_hint=name, data_help=texts.FIELD_HELP[name]),
    )


def _demo() -> Component:
    return html.Section(
        [
            html.H2(texts.DEMO_TITLE),
            html.P(texts.DEMO_HELP, className="dim small"),
            html.Div(
                [
                    html.Div(
                        [
                            html.Label(texts.DEMO_KIND, htmlFor="demo-kind", className="field-label"),
                            html.Div(**field("demo-kind")),
                        ]
                    ),
                    html.Div(
                        [
                            html.Label(texts.DEMO_SECONDS, htmlFor="demo-seconds", className="field-label"),
                            html.Div(**field("demo-seconds")),
                        ]
                    ),
                    html.Button(texts.DEMO_ADD, type="button", className="plain-button", **field("demo-add")),
                ],
                className="demo-fields",
            ),
        ],
        className="card demo",
        **attributes(aria_label=texts.DEMO_TITLE),
    )


def back_link() -> Component:
    """To the list."""
    return dcc.Link(
        [
            html.Span("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK} ", **attributes(aria_hidden="true")),
            texts.BACK,
        ],
        href="/recordings",
        className="back",
    )
