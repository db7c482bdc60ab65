"""What was, on the patient page: trends (assets/patient_trends.mjs) and notes (assets/notes.mjs)."""

from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard import ids
from dashboard.attributes import attributes
from dashboard.texts import patient as words


def trends_layout() -> Component:
    """Heart rate and its variability; every drawing keeps its place while it is waited for."""
    return html.Section(
        [
            html.Div(
                [html.H2(words.TRENDS_TITLE), choice("span", *words.TRENDS_SPAN)],
                className="title",
            ),
            html.P(words.TRENDS_LOADING, className="dim small num", role="status", **_part("trends", "note")),
            html.Div(className="trends", **_part("trends", "drawings")),
            html.P(words.TRENDS_HELP, className="dim small"),
        ],
        id=ids.TRENDS,
        className="card area-trends",
        **attributes(aria_label=words.TRENDS_TITLE),
    )


def notes_layout() -> Component:
    """The newest notes, and a field for one more."""
    return html.Section(
        [
            html.H2(words.NOTES_TITLE),
            html.Div(
                [
                    html.Div(className="note-field", **_part("notes", "field")),
                    html.Button(
                        words.NOTE_ADD, type="button", className="plain-button", **_part("notes", "add")
                    ),
                ],
                className="note-new",
            ),
            html.P(className="note-message", role="status", **_part("notes", "message")),
            html.P(words.NOTES_LOADING, className="dim", **_part("notes", "state")),
            html.Ul(className="note-list", **_part("notes", "list")),
        ],
        id=ids.NOTES,
        className="card area-notes",
        **attributes(aria_label=words.NOTES_TITLE),
    )


def choice(name: str, label: str, unit: str, values: tuple[float, ...]) -> Component:
    """A few values of which one is pressed; the script says which."""
    return html.Div(
        [
            html.Span(unit, className="dim", **attributes(aria_hidden="true")),
            *(
                html.Button(
                    f"{value:g}",
                    type="button",
                    className="num",
                    **attributes(data_value=f"{value:g}", aria_label=f"{label} {value:g} {unit}"),
                )
                for value in values
            ),
        ],
        className="choice",
        role="group",
        **attributes(data_choice=name, aria_label=f"{label}, {unit}"),
    )


def _part(of: str, name: str) -> dict[str, Any]:
    """The attribute by which the scripts find what they fill."""
    return attributes(**{f"data_{of}": name})
