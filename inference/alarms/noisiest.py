"""Who causes most alarms: counts by patient from the log, for a list that a ward can act on."""

from dataclasses import dataclass

from sqlalchemy import Engine, case, func, select

from inference.alarms.alarm import URGENCY, AlarmPriority
from inference.alarms.records import ALWAYS, Span, where_transitions
from ingest.store.schema import alarm_transition_table
from ingest.topics import OWN_SITE


@dataclass(frozen=True, slots=True)
class PatientLoad:
    """Episodes of one patient, each counted once with the highest priority it had in the span."""

    device: str
    alarms: int
    high: int
    medium: int
    low: int
    advisory: int


def noisiest_patients(
    engine: Engine, limit: int = 10, *, site: str | None = None, span_us: Span = ALWAYS
) -> list[PatientLoad]:
    """The patients with the most episodes that changed in the span, most first."""
    table = alarm_transition_table.c
    urgency = case({priority.value: number for priority, number in URGENCY.items()}, value=table.priority)
    episodes = (
        select(table.device, func.max(urgency).label("urgency"))
        .where(
            ~table.device.startswith(f"{OWN_SITE}/", autoescape=True),
            *where_transitions(None, site, span_us),
        )
        .group_by(table.device, table.kind, table.since_us)
        .subquery()
    )

    def number_of(priority: AlarmPriority) -> object:
        return func.sum(case((episodes.c.urgency == URGENCY[priority], 1), else_=0))

    total = func.count().label("total")
    counts = [number_of(priority) for priority in AlarmPriority]  # high, medium, low, advisory
    query = select(episodes.c.device, total, *counts).group_by(episodes.c.device)
    query = query.order_by(total.desc(), episodes.c.device).limit(limit)
    with engine.connect() as connection:
        return [
            PatientLoad(row[0], *(int(number) for number in row[1:])) for row in connection.execute(query)
        ]
