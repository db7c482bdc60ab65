"""Times for people: the page's script writes them in the viewer's zone (assets/times.mjs)."""

import datetime as dt

from dash import html
from dash.development.base_component import Component

from dashboard.attributes import attributes

DATE, TIME = "date", "time"  # with the day, or the time of day alone


def moment(us: int, style: str = DATE) -> Component:
    """A `<time>` of Unix microseconds; its words come from the browser."""
    stamp = dt.datetime.fromtimestamp(us / 1e6, tz=dt.UTC).isoformat(timespec="milliseconds")
    return html.Time(dateTime=stamp, className="num", **attributes(data_us=str(us), data_style=style))
