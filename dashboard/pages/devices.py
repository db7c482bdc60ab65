"""Devices and services: what each claims, what arrives, whether it works; filled by assets/devices.mjs."""

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import ids
from dashboard.attributes import attributes
from dashboard.texts import connect
from dashboard.texts import devices as texts


def devices_layout() -> Component:
    """The page, empty until the first answer."""
    return html.Div(
        [
            html.Div(
                [
                    html.H1(texts.TITLE),
                    html.Span(className="dim", role="status", **attributes(data_field="count")),
                    dcc.Link(connect.LINK, href="/connect", className="underlined"),
                ],
                className="page-head",
            ),
            _devices(),
            _services(),
        ],
        id=ids.DEVICES,
        className="column-page",
        **attributes(data_page="devices", data_waits=""),
    )


def _devices() -> Component:
    return html.Section(
        [
            html.H2(texts.DEVICES_TITLE),
            html.P(
                texts.LOADING,
                className="table-empty",
                role="status",
                **attributes(data_field="loading"),
            ),
            html.Div(
                [
                    html.P(texts.DEVICES_HELP, className="dim small devices-help"),
                    html.Table(
                        [html.Thead(html.Tr(_headings())), html.Tbody(id=ids.DEVICE_ROWS)],
                        className="table devices",
                    ),
                ],
                hidden=True,
                **attributes(data_field="table"),
            ),
            _none(),
        ],
        className="card",
        **attributes(aria_label=texts.DEVICES_TITLE),
    )


def _headings() -> list[Component]:
    """Each sorts by its column when it is pressed."""
    return [
        html.Th(
            html.Button(heading, type="button", className="sort", title=meaning),
            scope="col",
            className="right" if is_number else "",
            **attributes(data_sort=key, aria_sort="none"),
        )
        for key, heading, meaning, is_number in texts.COLUMNS
    ]


def _services() -> Component:
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in texts.SERVICE_COLUMNS]))
    return html.Section(
        [
            html.H2(texts.SERVICES_TITLE),
            html.P(
                texts.SERVICES_LOADING,
                className="table-empty",
                role="status",
                **attributes(data_field="services_loading"),
            ),
            html.Table(
                [head, html.Tbody(id=ids.SERVICE_ROWS)],
                className="table services",
                hidden=True,
                **attributes(data_field="services"),
            ),
        ],
        className="card",
        **attributes(aria_label=texts.SERVICES_TITLE),
    )


def _none() -> Component:
    return html.Div(
        [html.H2(texts.NONE), html.P(texts.NONE_HOW), html.Pre(texts.NONE_COMMAND)],
        className="empty",
        hidden=True,
        **attributes(data_field="none"),
    )
