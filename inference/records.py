"""Verdicts -> the store, one for each window, and back again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Engine, Row, select

from inference.verdict import Finding, Indeterminate, RhythmFinding, Verdict
from ingest.chunk import Place
from ingest.store.insertion import insert_better_verdict
from ingest.store.schema import verdict_table


def save_verdicts(
    engine: Engine, verdicts: Sequence[Verdict], coverage: Mapping[Place, float] | None = None
) -> list[Verdict]:
    """Store all verdicts in one transaction; return those that are new, or better than the one before.

    They come back in the order given, but for those whose place came before among them: these come last.
    A window keeps its first verdict until one comes that rests on more samples: several workers, a retry and
    a redelivery harm nothing, whichever comes first. `coverage` is that of the judged window of each place;
    a verdict on a window without replaces none.
    Raises sqlalchemy.exc.SQLAlchemyError when the store does not take them; then none is stored.
    """
    known = coverage or {}
    statement = insert_better_verdict(engine.dialect.name)
    new: list[Verdict] = []
    with engine.begin() as connection:
        for alone in _one_a_place(verdicts):
            rows = [_row_of(verdict, known.get(place)) for place, verdict in alone.items()]
            written = {tuple(row) for row in connection.execute(statement, rows)}
            new += [verdict for place, verdict in alone.items() if place in written]
    return new


def verdicts_between(engine: Engine, device: str, from_us: int, to_us: int) -> list[Verdict]:
    """Verdicts of windows that begin in from_us <= wall_time_us < to_us, oldest first, historic ones too."""
    column = verdict_table.c.wall_time_us
    query = (
        select(verdict_table)
        .where(verdict_table.c.device == device, column >= from_us, column < to_us)
        .order_by(column, verdict_table.c.session, verdict_table.c.first_sample)
    )
    with engine.connect() as connection:
        return [_verdict_of(row) for row in connection.execute(query)]


def newest_verdict(engine: Engine, device: str) -> Verdict | None:
    """The one decided last, live or not; None when there is none. Raises sqlalchemy.exc.SQLAlchemyError."""
    query = select(verdict_table).where(verdict_table.c.device == device)
    with engine.connect() as connection:
        row = connection.execute(query.order_by(verdict_table.c.decided_us.desc()).limit(1)).first()
    return None if row is None else _verdict_of(row)


def verdicts_at(
    engine: Engine, device: str, session: int, first_sample: int, end_sample: int
) -> list[Verdict]:
    """Verdicts of a session's windows that begin in first_sample <= i < end_sample, in order of place."""
    table = verdict_table.c
    query = (
        select(verdict_table)
        .where(table.device == device, table.session == session)
        .where(table.first_sample >= first_sample, table.first_sample < end_sample)
        .order_by(table.first_sample)
    )
    with engine.connect() as connection:
        return [_verdict_of(row) for row in connection.execute(query)]


def _one_a_place(verdicts: Iterable[Verdict]) -> list[dict[Place, Verdict]]:
    """All verdicts in groups, each with one of a place: no INSERT of PostgreSQL replaces a row twice."""
    groups: list[dict[Place, Verdict]] = []
    for verdict in verdicts:
        free = next((group for group in groups if verdict.place not in group), None)
        if free is None:
            groups.append(free := {})
        free[verdict.place] = verdict
    return groups


def _row_of(verdict: Verdict, coverage: float | None) -> dict[str, Any]:
    return {
        "device": verdict.device,
        "session": verdict.session,
        "first_sample": verdict.first_sample,
        "wall_time_us": verdict.wall_time_us,
        "model": verdict.model,
        "decided_us": verdict.decided_us,
        "historic": verdict.historic,
        "indeterminate": verdict.indeterminate,
        "findings": msgspec.json.encode(verdict.findings).decode(),
        "rhythm": msgspec.json.encode(verdict.rhythm).decode(),
        "lead": verdict.lead,
        "lead_inferred": verdict.lead_inferred,
        "coverage": coverage,
    }


def _verdict_of(row: Row[Any]) -> Verdict:
    return Verdict(
        device=row.device,
        session=row.session,
        first_sample=row.first_sample,
        wall_time_us=row.wall_time_us,
        model=row.model,
        decided_us=row.decided_us,
        historic=row.historic,
        findings=msgspec.json.decode(row.findings, type=tuple[Finding, ...]),
        indeterminate=None if row.indeterminate is None else Indeterminate(row.indeterminate),
        rhythm=msgspec.json.decode(row.rhythm, type=tuple[RhythmFinding, ...]),
        lead=row.lead,
        lead_inferred=row.lead_inferred,
    )
