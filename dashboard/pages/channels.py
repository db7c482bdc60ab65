"""By which ways notifications leave, whether they work, and a test; filled by assets/channels.mjs."""

from dash import html
from dash.development.base_component import Component

from dashboard import ids, texts
from dashboard.attributes import attributes


def channels_parts() -> list[Component]:
    """The section of the page of settings, with how to configure a channel where there is none."""
    return [
        html.P(texts.CHANNELS_HELP, className="dim small"),
        html.P(
            texts.CHANNELS_LOADING,
            className="table-empty",
            role="status",
            **attributes(data_field="channels_loading"),
        ),
        _table(),
        _none(),
    ]


def _table() -> Component:
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in texts.CHANNEL_COLUMNS]))
    return html.Table(
        [head, html.Tbody(id=ids.CHANNEL_ROWS)],
        className="table channels",
        hidden=True,
        **attributes(data_field="channels_table"),
    )


def _none() -> Component:
    return html.Div(
        [
            html.H2(texts.CHANNELS_NONE),
            html.P(texts.CHANNELS_NONE_HOW),
            html.Pre(texts.CHANNELS_NONE_FILE, tabIndex=0),
            html.P(texts.CHANNELS_NONE_RUN),
            html.Pre(texts.CHANNELS_NONE_COMMAND, tabIndex=0),
            html.P(texts.CHANNELS_NONE_MORE, className="dim"),
        ],
        className="empty",
        hidden=True,
        **attributes(data_field="channels_none"),
    )
