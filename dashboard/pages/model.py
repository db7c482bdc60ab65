"""The model: what is in force, what it can and cannot tell in plain words, its figures, its whole card."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from dashboard import ids
from dashboard import texts as shared
from dashboard.attributes import attributes
from dashboard.model_view import (
    LEADS,
    Interval,
    ModelCard,
    ModelCardError,
    auroc,
    class_figures,
    group_figures,
    plain_figures,
    read_card,
    thresholds,
)
from dashboard.texts import model as texts

AXIS_FROM = 0.5  # of the plots of AUROC: guessing


def model_layout() -> Component:
    """The page; the card is read when it comes, by `register_model`."""
    return html.Div(
        [
            html.Div([html.H1(texts.TITLE)], className="page-head"),
            html.Div(
                html.P(texts.LOADING, className="table-empty", role="status"),
                id=ids.MODEL_CARD,
                className="model-card",
            ),
        ],
        id=ids.MODEL,
        className="column-page",
        **attributes(data_page="model"),
    )


def register_model(app: Dash, folder: Path) -> None:
    """Fill the page when somebody comes to it."""

    @app.callback(Output(ids.MODEL_CARD, "children"), Input(ids.MODEL, "id"))
    def show_card(_page: str) -> list[Component]:
        return card_of(folder)

    @app.callback(
        Output(ids.MODEL_TEXT, "children"), Input(ids.MODEL_WHOLE, "n_clicks"), prevent_initial_call=True
    )
    def show_text(_clicks: int) -> Component:
        return text_of(folder)


def card_of(folder: Path) -> list[Component]:
    """The sections of the page, or why there are none."""
    try:
        card = read_card(folder)
        sections = [_plain(card), _classes(card), _thresholds(card), *_rhythm(card), *_groups(card)]
    except (ModelCardError, KeyError, TypeError) as error:
        return [html.P(texts.MISSING.format(reason=error), className="card table-empty", role="status")]
    return [_in_force(card), *sections, _whole()]


def _in_force(card: ModelCard) -> Component:
    facts = card.facts
    rhythm = shared.UNKNOWN if card.rhythm is None else card.rhythm["version"]
    said = {
        "version": html.Span(texts.WAITING, className="num", **attributes(data_field="in_force")),
        "card": html.Span(facts["version"], className="num", **attributes(data_field="card_version")),
        "checksum": html.Code(facts["sha256"], className="checksum"),
        "file": texts.FILE_RIGHT if card.is_file_right else html.B(texts.FILE_WRONG),
        "rhythm": html.Span(rhythm, className="num"),
        "trained": texts.TRAINED.format(n=facts["recipe"]["n_train"]),
        "size": texts.SIZE.format(parameters=facts["parameters"], mmac=facts["mmac"]),
    }
    pairs = [part for key, words in texts.IN_FORCE.items() for part in (html.Dt(words), html.Dd(said[key]))]
    return _section(texts.IN_FORCE_TITLE, [html.Dl(pairs, className="facts")])


def _plain(card: ModelCard) -> Component:
    figures = plain_figures(card)
    parts = [
        html.Div([html.H3(heading), html.P(words.format(**figures))], className="plain-part")
        for heading, words in texts.PLAIN.items()
    ]
    return _section(texts.PLAIN_TITLE, [html.P(texts.PLAIN_INTRO), html.Div(parts, className="plain-parts")])


def _classes(card: ModelCard) -> Component:
    rows = [
        [
            _finding(each.superclass),
            each.lead,
            auroc(each.auroc),
            interval_plot(each.auroc, each.auroc_95),
            *(_percent(share) for share in (each.prevalence, each.found, each.missed, each.false)),
            _percent(each.uncertain),
        ]
        for each in class_figures(card.facts)
    ]
    help_ = html.P(texts.CLASSES_HELP, className="dim")
    return _section(texts.CLASSES_TITLE, [help_, table(texts.CLASS_COLUMNS, rows, "by-class")])


def _thresholds(card: ModelCard) -> Component:
    rows = [
        [_finding(superclass), lead, *(auroc(limit) for limit in limits)]
        for superclass, lead, *limits in thresholds(card.facts)
    ]
    help_ = html.P(texts.LIMITS_HELP, className="dim")
    return _section(texts.LIMITS_TITLE, [help_, table(texts.LIMIT_COLUMNS, rows, "by-limit")])


def _rhythm(card: ModelCard) -> list[Component]:
    if card.rhythm is None:
        return []
    figures, calibration = card.rhythm["figures"], card.rhythm["calibration"]
    window = figures["window"]
    rows = [
        [
            texts.RHYTHM_NAMES[name],
            auroc(figures["f1"][name]),
            "-".join(auroc(end) for end in figures["ci95"]["f1"][name]),
            auroc(window["f1"][name]),
            auroc(window["auroc"][name]),
            _percent(window["called_af"][name]),
            _percent(window["called_noisy"][name]),
        ]
        for name in figures["f1"]
    ]
    words = texts.RHYTHM_HELP.format(
        n=figures["recordings"],
        folds=figures["folds"],
        af_limit=auroc(calibration["af_limit"]),
        noisy_limit=auroc(calibration["noisy_limit"]),
    )
    help_ = html.P(words, className="dim")
    return [_section(texts.RHYTHM_TITLE, [help_, table(texts.RHYTHM_COLUMNS, rows, "by-rhythm")])]


def _groups(card: ModelCard) -> list[Component]:
    sections = []
    for lead in LEADS:
        rows = [
            [
                each.group,
                f"{each.n:,}",
                auroc(each.macro_auroc),
                interval_plot(each.macro_auroc, each.macro_95),
                *(auroc(each.auroc[superclass]) for superclass in card.facts["classes"]),
            ]
            for each in group_figures(card.facts, lead)
        ]
        help_ = html.P(texts.GROUPS_HELP, className="dim")
        shown = table(texts.GROUP_COLUMNS, rows, "by-group")
        sections.append(_section(texts.GROUPS_TITLE.format(lead=lead), [help_, shown]))
    return sections


def _whole() -> Component:
    return html.Details(
        [html.Summary(texts.CARD_TITLE, id=ids.MODEL_WHOLE), html.Div(id=ids.MODEL_TEXT)],
        className="card whole-card",
    )


def text_of(folder: Path) -> Component:
    """The card as it was written, with pictures: a browser takes a second for it, so it comes when opened."""
    try:
        text = read_card(folder).text
    except ModelCardError as error:
        return html.P(texts.MISSING.format(reason=error))
    if text is None:
        return html.P(texts.CARD_MISSING)
    # Its tables are wide: they are moved sideways, also by keys.
    reached = attributes(role="region", aria_label=texts.CARD_TITLE)
    return html.Div(dcc.Markdown(text, className="markdown"), className="card-text", tabIndex=0, **reached)


def interval_plot(value: float | None, interval: Interval | None) -> Component | str:
    """A dot and its 95 % interval on an axis from guessing to always right; the numbers stand beside it."""
    if value is None or interval is None:
        return ""
    low, high = (_place(end) for end in interval)
    bar = html.Span(className="interval-bar", style={"left": f"{low:.1f}%", "width": f"{high - low:.1f}%"})
    dot = html.Span(className="interval-dot", style={"left": f"{_place(value):.1f}%"})
    words = f"{auroc(interval[0])}-{auroc(interval[1])}"
    return html.Span(
        [html.Span([bar, dot], className="interval", **attributes(aria_hidden="true")), html.Span(words)],
        className="interval-cell num dim small",
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], name: str) -> Component:
    """A table of figures; on a phone each row becomes a card whose cells say what they are."""
    head = html.Thead(html.Tr([html.Th(column, scope="col") for column in columns]))
    body = [
        html.Tr(
            [
                html.Td(cell, className="num" if place else "", **attributes(data_label=columns[place]))
                for place, cell in enumerate(row)
            ]
        )
        for row in rows
    ]
    return html.Table([head, html.Tbody(body)], className=f"table figures {name}")


def _section(title: str, parts: list[Component]) -> Component:
    return html.Section([html.H2(title), *parts], className="card", **attributes(aria_label=title))


def _finding(superclass: str) -> Component:
    return html.Span([html.B(superclass), " ", html.Span(texts.NAMES[superclass], className="dim small")])


def _percent(share: float | None) -> str:
    return shared.UNKNOWN if share is None else f"{100 * share:.1f} %"


def _place(value: float) -> float:
    """Per cent of the axis."""
    return 100 * min(max((value - AXIS_FROM) / (1 - AXIS_FROM), 0.0), 1.0)
