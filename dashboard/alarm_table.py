"""Episodes and loads from the store -> what the alarms page shows of the past; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import texts
from dashboard.attributes import attributes
from dashboard.moments import moment
from inference.alarms.alarm import AlarmPriority, AlarmState
from inference.alarms.history import MOST, PastEpisode
from inference.alarms.noisiest import PatientLoad
from inference.alarms.retrospective import RetrospectiveEvent
from inference.alarms.rules import in_words
from ingest.topics import OWN_SITE

HOUR_US = 3_600_000_000
NOISY_SHOWN = 5
MIN_HOURS = 0.5  # a rate from less is a guess


def event_link(episode: PastEpisode) -> str:
    """The page of one alarm, as notifications carry it."""
    return f"/event/{episode.device}/{episode.kind}/{episode.since_us}"


def late_episode(event: RetrospectiveEvent) -> PastEpisode:
    """What late data hold, as a row of the past; its times are the device's clock."""
    return PastEpisode(
        device=event.device,
        kind=event.kind,
        priority=AlarmPriority.ADVISORY,
        state=AlarmState.OFF,
        text=event.text,
        since_us=event.from_us,
        ended_us=event.to_us,
        count=1,
        peak=event.peak,
        escalation=0,
        who=None,
    )


def history_table(
    episodes: Sequence[PastEpisode], names: Mapping[str, str], late: Sequence[PastEpisode] = ()
) -> Component:
    """A table with one row an episode, newest first; a sentence where there is none.

    `late` are of data that came late: they were never alarms, and their rows say so.
    """
    rows = [(each, False) for each in episodes] + [(each, True) for each in late]
    rows.sort(key=lambda row: -row[0].since_us)
    if not rows:
        return html.P(texts.HISTORY_EMPTY, className="dim table-empty")
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in texts.HISTORY_COLUMNS]))
    body = html.Tbody([_row(each, names, is_late=is_late) for each, is_late in rows])
    parts: list[Component] = [html.Table([head, body], className="table history")]
    if len(episodes) >= MOST:
        parts.append(html.P(texts.HISTORY_CUT.format(most=MOST), className="dim small"))
    return html.Div(parts)


def _row(each: PastEpisode, names: Mapping[str, str], *, is_late: bool) -> Component:
    columns = texts.HISTORY_COLUMNS
    is_own = each.device.startswith(f"{OWN_SITE}/")
    still = texts.UNKNOWN if is_late else texts.HISTORY_LASTS
    lasted = in_words((each.ended_us - each.since_us) / 1e6) if each.ended_us else still
    state = texts.HISTORY_LATE if is_late else texts.STATES[each.state]
    cells: tuple[Component | list[Component], ...] = (
        priority_mark(each.priority),
        _whose(each.device, names),
        [html.Span(texts.KINDS[each.kind]), html.Span(each.text, className="dim small")],
        moment(each.since_us),
        html.Span(lasted, className="num"),
        html.Span(str(each.count), className="num"),
        html.Span(peak_words(each), className="num"),
        [html.Span(state), html.Span(_remark(each), className="dim small")],
        html.Span()
        if is_own or is_late
        else dcc.Link(texts.STRIP_LINK, href=event_link(each), className="row-link"),
    )
    return html.Tr(
        [html.Td(cell, **attributes(data_label=label)) for cell, label in zip(cells, columns, strict=True)]
    )


def _whose(device: str, names: Mapping[str, str]) -> Component:
    """A patient, with a link; a part of Wristlead has no page."""
    site, name = device.split("/")
    if site == OWN_SITE:
        return html.Span(texts.SERVICES.get(name, texts.CHANNEL_NAME.format(name=name)))
    return dcc.Link(names.get(device, device), href=f"/patient/{device}")


def _remark(each: PastEpisode) -> str:
    remarks = [texts.SEEN_BY.format(who=each.who)] if each.who else []
    if each.escalation:
        remarks.append(texts.ESCALATED.format(count=each.escalation))
    return " · ".join(remarks)


def peak_words(each: PastEpisode) -> str:
    """The most extreme value with its unit, `--` where there is none."""
    if each.peak is None or each.kind not in texts.PEAKS:
        return texts.UNKNOWN
    digits, unit = texts.PEAKS[each.kind]
    value = f"{each.peak:.{digits}f}"
    return f"{value} {unit}" if unit else value.removeprefix("0")  # .93, never taken for a rate


def priority_mark(priority: AlarmPriority) -> Component:
    """Shape, stars and word of a priority; the colour only repeats them."""
    return html.Span(
        [
            html.Span(className="mark-shape", **attributes(aria_hidden="true")),
            html.Span(texts.STARS[priority], className="mark-stars", **attributes(aria_hidden="true")),
            html.Span(texts.PRIORITIES[priority]),
        ],
        className="mark",
        **attributes(data_priority=priority),
    )


@dataclass(frozen=True, slots=True)
class Noise:
    """What a patient's alarms were, and in how many hours that the device was heard."""

    load: PatientLoad
    hours: float

    @property
    def alarms(self) -> int:
        """How many, findings of the model left out."""
        return self.load.alarms - self.load.advisory

    @property
    def per_hour(self) -> float | None:
        """Alarms a patient-hour; None before MIN_HOURS."""
        return None if self.hours < MIN_HOURS else self.alarms / self.hours


def noisiest(
    loads: Sequence[PatientLoad], extents: Mapping[str, tuple[int, int]], from_us: int, now_us: int
) -> list[Noise]:
    """The patients with most alarms an hour first; `extents` tells when a device was heard first and last."""
    found = []
    for load in loads:
        if load.device not in extents:
            continue
        first_us, last_us = extents[load.device]
        hours = (min(last_us, now_us) - max(first_us, from_us)) / HOUR_US
        found.append(Noise(load, max(hours, 0.0)))
    return sorted(found, key=lambda each: (-(each.per_hour or 0.0), -each.alarms, each.load.device))[
        :NOISY_SHOWN
    ]


def noisiest_list(found: Sequence[Noise], names: Mapping[str, str]) -> Component:
    """One line a patient, with alarms an hour and what they were."""
    if not found:
        return html.P(texts.NOISIEST_EMPTY, className="dim table-empty")
    return html.Ol([_noise(each, names) for each in found], className="noisiest")


def _noise(each: Noise, names: Mapping[str, str]) -> Component:
    load = each.load
    counts = zip(texts.NOISE_WORDS, (load.high, load.medium, load.low, load.advisory), strict=True)
    parts = ", ".join(f"{count} {word}" for word, count in counts if count)
    span = (
        texts.NOISE_HOURS.format(count=each.hours)
        if each.hours >= 1
        else texts.NOISE_MINUTES.format(count=60 * each.hours)
    )
    rate = texts.UNKNOWN if each.per_hour is None else f"{each.per_hour:.1f}"
    return html.Li(
        [
            dcc.Link(names.get(load.device, load.device), href=f"/patient/{load.device}"),
            html.Span(texts.NOISE_RATE.format(rate=rate), className="num noise-rate"),
            html.Span(texts.NOISE_PARTS.format(parts=parts, span=span), className="dim small num"),
        ]
    )
