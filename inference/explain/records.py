"""Explanations -> the store and back; and the windows that speak for an alarm of the model."""

from dataclasses import dataclass

import msgspec
from sqlalchemy import ColumnElement, Engine, Table, and_, select

from inference.alarms.alarm import AlarmKind, AlarmState
from inference.alarms.observed import VOTES_KEPT
from inference.alarms.rules import FINDINGS
from inference.explain.explanation import Explanation, ExplanationKey, Place
from inference.verdict import Finding, Presence, Superclass
from ingest.store.insertion import insert_unknown
from ingest.store.schema import alarm_transition_table, explanation_table, verdict_table, window_table

RECENT_WINDOWS = 50  # before an alarm, among which its five votes are: some were indeterminate


@dataclass(frozen=True, slots=True)
class RaisedFinding:
    """An alarm of the model, at the moment it came on."""

    device: str
    superclass: Superclass
    at_us: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What the store says of one window's verdict."""

    model: str
    findings: tuple[Finding, ...]
    indeterminate: str | None


def save_explanation(engine: Engine, explanation: Explanation) -> bool:
    """Store it; False when that window, superclass and method had one.

    Raises sqlalchemy.exc.SQLAlchemyError when the store does not take it.
    """
    row = {
        "device": explanation.device,
        "session": explanation.session,
        "first_sample": explanation.first_sample,
        "superclass": explanation.superclass.value,
        "method": explanation.method.value,
        "model": explanation.model,
        "made_us": explanation.made_us,
        "completeness_error": explanation.completeness_error,
        "explanation": msgspec.json.encode(explanation).decode(),
    }
    with engine.begin() as connection:
        result = connection.execute(insert_unknown(engine.dialect.name, explanation_table), row)
        return result.rowcount == 1


def find_explanation(engine: Engine, key: ExplanationKey) -> Explanation | None:
    """One explanation; None when there is none yet."""
    device, session, first_sample, superclass, method = key
    table = explanation_table.c
    query = select(table.explanation).where(
        _is_at(explanation_table, (device, session, first_sample)),
        table.superclass == superclass.value,
        table.method == method.value,
    )
    with engine.connect() as connection:
        found = connection.scalar(query)
    return None if found is None else msgspec.json.decode(found, type=Explanation)


def explanations_of(engine: Engine, place: Place) -> list[Explanation]:
    """Everything that was explained of one window, in order of superclass and method."""
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
    return Judged(row.model, msgspec.json.decode(row.findings, type=tuple[Finding, ...]), row.indeterminate)


def raised_findings(engine: Engine, after_id: int, limit: int) -> tuple[list[RaisedFinding], int]:
    """The newest `limit` model alarms that came on after transition `after_id`, and the newest id seen."""
    table = alarm_transition_table.c
    kinds = [kind.value for kind in FINDINGS]
    query = (
        select(table.id, table.device, table.kind, table.at_us)
        .where(table.id > after_id, table.kind.in_(kinds), table.state == AlarmState.ON.value)
        .order_by(table.id.desc())
        .limit(limit)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    raised = [RaisedFinding(row.device, FINDINGS[AlarmKind(row.kind)], row.at_us) for row in rows]
    return raised, rows[0].id if rows else after_id


def windows_behind(engine: Engine, raised: RaisedFinding) -> list[tuple[Place, str]]:
    """The windows that spoke for an alarm when it came on, newest first, and the model that judged each.

    They are those of the last five that passed quality in which the finding was present and at or above its
    threshold, as the alarm rule counts them.
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
        select(verdict.session, verdict.first_sample, verdict.model, verdict.findings)
        .join(recent, same_place)
        .where(verdict.decided_us <= raised.at_us, verdict.indeterminate.is_(None))
        .order_by(verdict.decided_us.desc(), verdict.first_sample.desc())
        .limit(VOTES_KEPT)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    behind = []
    for row in rows:
        findings = msgspec.json.decode(row.findings, type=tuple[Finding, ...])
        if any(
            f.superclass is raised.superclass
            and f.probability >= f.threshold
            and f.presence is Presence.PRESENT
            for f in findings
        ):
            behind.append(((raised.device, row.session, row.first_sample), row.model))
    return behind


def _is_at(table: Table, place: Place) -> ColumnElement[bool]:
    device, session, first_sample = place
    return and_(table.c.device == device, table.c.session == session, table.c.first_sample == first_sample)
