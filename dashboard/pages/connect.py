"""How to connect a device: one card for each kind. No script fills it."""

from dash import html
from dash.development.base_component import Component

from dashboard import ids
from dashboard.texts import connect


def connect_layout() -> Component:
    """The page."""
    return html.Div(
        [
            html.Div([html.H1(connect.TITLE)], className="page-head"),
            html.P(connect.BROKER, className="dim"),
            html.Div([_way(way) for way in connect.WAYS], className="ways"),
            html.P(connect.MORE, className="dim"),
        ],
        id=ids.CONNECT,
        className="column-page",
    )


def _way(way: connect.Way) -> Component:
    head = html.Div(
        [html.H2(way.heading), html.Span(way.liveness, className="small dim")], className="way-head"
    )
    commands = [html.Pre("\n".join(way.commands))] if way.commands else []
    return html.Section([head, html.P(way.what), *commands], className="card way")
