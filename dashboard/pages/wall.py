"""The wall: one panel per patient. Tools and panels are made by assets/wall.mjs as devices appear."""

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import ids, texts
from dashboard.attributes import attributes
from dashboard.texts import connect
from dashboard.texts.wall import SKELETONS


def wall_layout() -> Component:
    """The page around the panels: room for its tools, skeletons until the first state, how to begin."""
    return html.Div(
        [
            html.H1(texts.WALL_TITLE, className="unseen"),
            html.Div(className="wall-tools"),
            html.Div(id=ids.WALL, className="wall"),
            html.Div(
                [html.Div(className="skeleton") for _ in range(SKELETONS)],
                id=ids.WALL_LOADING,
                className="wall-loading",
                role="status",
                **attributes(aria_label=texts.LOADING),
            ),
            empty_layout(),
            html.Div(className="wall-elsewhere", hidden=True),
        ],
        **attributes(data_page="wall"),
    )


def empty_layout() -> Component:
    """What to do when no device has ever been heard."""
    return html.Section(
        [
            html.H2(texts.EMPTY_TITLE),
            html.P(texts.EMPTY_DEVICE),
            html.Pre(texts.EMPTY_TOPIC, tabIndex=0),
            dcc.Link(connect.LINK, href="/connect"),
            html.P(texts.EMPTY_DEMO),
            html.Pre(texts.EMPTY_COMMAND, tabIndex=0),
        ],
        id=ids.WALL_EMPTY,
        className="empty",
        hidden=True,
    )
