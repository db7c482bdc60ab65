"""Explanations -> the store and back; and the windows that speak for an alarm of the model."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy import ColumnElement, Engine, Table, and_, select

from inference.alarms.alarm import AlarmKind, AlarmState
from inference.alarms.observed import RHYTHM_READABLE, VOTES_KEPT
from inference.alarms.rules import FINDINGS
from inference.explain.explanation import Answer, Explanation, ExplanationKey
from inference.verdict import Finding, Presence, Rhythm, RhythmFinding, Superclass
from ingest.chunk import Place
from ingest.store.insertion import insert_unknown
from ingest.store.schema import alarm_transition_table, explanation_table, verdict_table, window_table

RECENT_WINDOWS = 50  # before an alarm, among which its five votes are: some were indeterminate
ANSWERS: Mapping[AlarmKind, Answer] = {**FINDINGS, AlarmKind.AF: Rhythm.AF}


@dataclass(frozen=True, slots=True)
class RaisedAnswer:
    """An alarm of the model, at the moment it came on."""

    device: str
    answer: Answer
    at_us: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What the store says of one window's verdict."""

    model: str
    findings: tuple[Finding, ...]
    indeterminate: str | None
    rhythm: tuple[RhythmFinding, ...] = ()


def save_explanation(engine: Engine, explanation: Explanation) -> bool:
    """Store it; False when that window, answer and method had one.

    Raises sqlalchemy.exc.SQLAlchemyError when the store does not take it.
    """
    row = {
        "device": explanation.device,
        "session": explanation.session,
        "first_sample": explanation.first_sample,
        "superclass": explanation.answer.name,
        "method": explanation.method.value,
        "model": explanation.model,
        "made_us": explanation.made_us,
        "completeness_error": explanation.completeness_error,
        "explanation": msgspec.json.encode(explanation).decode(),
    }
    with engine.begin() as connection:
        result = connection.execute(insert_unknown(engine.dialect.name, explanation_table), row)
        return result.first() is not None


def find_explanation(engine: Engine, key: ExplanationKey) -> Explanation | None:
    """One explanation; None when there is none yet."""
    device, session, first_sample, answer, method = key
    table = explanation_table.c
    query = select(table.explanation).where(
        _is_at(explanation_table, (device, session, first_sample)),
        table.superclass == answer.name,
        table.method == method.value,
    )
    with engine.connect() as connection:
        found = connection.scalar(query)
    return None if found is None else msgspec.json.decode(found, type=Explanation)


def explanations_of(engine: Engine, place: Place) -> list[Explanation]:
    """Everything that was explained of one window, in order of answer and method."""
    table = explanation_table.c
    query = (
        select(table.explanation)
        .where(_is_at(explanation_table, place))
        .order_by(table.superclass, table.method)
    )
    with engine.connect() as connection:
        return [msgspec.json.decode(text, type=Explanation) for text in connection.scalars(query)]


def find_verdict(engine: Engine, place: Place) -> Judged | None:
    """What was said of one window; None when it has no verdict."""
    with engine.connect() as connection:
        row = connection.execute(select(verdict_table).where(_is_at(verdict_table, place))).one_or_none()
    if row is None:
        return None
    return Judged(row.model, _findings(row.findings), row.indeterminate, _rhythm(row.rhythm))


def raised_answers(engine: Engine, after_id: int, limit: int) -> tuple[list[RaisedAnswer], int]:
    """The newest `limit` model alarms that came on after transition `after_id`, and the newest id seen."""
    table = alarm_transition_table.c
    kinds = [kind.value for kind in ANSWERS]
    query = (
        select(table.id, table.device, table.kind, table.at_us)
        .where(table.id > after_id, table.kind.in_(kinds), table.state == AlarmState.ON.value)
        .order_by(table.id.desc())
        .limit(limit)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    raised = [RaisedAnswer(row.device, ANSWERS[AlarmKind(row.kind)], row.at_us) for row in rows]
    return raised, rows[0].id if rows else after_id


def windows_behind(engine: Engine, raised: RaisedAnswer) -> list[tuple[Place, str]]:
    """The windows that spoke for an alarm when it came on, newest first, and the model that judged each.

    They are those of the last five that had a vote, and voted for it, as the alarm rule counts them: a
    finding where it was present and at or above its threshold; atrial fibrillation where it was the most
    probable rhythm and at or above its limit, also where only the lead was in doubt.
    """
    window, verdict = window_table.c, verdict_table.c
    recent = (
        select(window.device, window.session, window.first_sample)
        .where(window.device == raised.device, window.closed_us <= raised.at_us, ~window.historic)
        .order_by(window.closed_us.desc())
        .limit(RECENT_WINDOWS)
        .subquery()
    )
    same_place = and_(*(verdict[name] == recent.c[name] for name in ("device", "session", "first_sample")))
    query = (
        select(
            verdict.session,
            verdict.first_sample,
            verdict.model,
            verdict.findings,
            verdict.indeterminate,
            verdict.rhythm,
        )
        .join(recent, same_place)
        .where(verdict.decided_us <= raised.at_us)
        .order_by(verdict.decided_us.desc(), verdict.first_sample.desc())
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    judged = [
        (
            (raised.device, row.session, row.first_sample),
            Judged(row.model, _findings(row.findings), row.indeterminate, _rhythm(row.rhythm)),
        )
        for row in rows
    ]
    voting = [each for each in judged if _has_vote(each[1], raised.answer)][:VOTES_KEPT]
    return [(place, said.model) for place, said in voting if _speaks_for(said, raised.answer)]


def _has_vote(said: Judged, answer: Answer) -> bool:
    if isinstance(answer, Superclass):
        return said.indeterminate is None
    return said.indeterminate in RHYTHM_READABLE and bool(said.rhythm)


def _speaks_for(said: Judged, answer: Answer) -> bool:
    if isinstance(answer, Superclass):
        return any(
            found.superclass is answer
            and found.probability >= found.threshold
            and found.presence is Presence.PRESENT
            for found in said.findings
        )
    likeliest = max(said.rhythm, key=lambda found: found.probability)
    limit = likeliest.threshold
    return likeliest.rhythm is answer and limit is not None and likeliest.probability >= limit


def _findings(stored: str) -> tuple[Finding, ...]:
    return msgspec.json.decode(stored, type=tuple[Finding, ...])


def _rhythm(stored: str) -> tuple[RhythmFinding, ...]:
    return msgspec.json.decode(stored, type=tuple[RhythmFinding, ...])


def _is_at(table: Table, place: Place) -> ColumnElement[bool]:
    device, session, first_sample = place
    return and_(table.c.device == device, table.c.session == session, table.c.first_sample == first_sample)
