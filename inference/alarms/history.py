"""What became of alarms: stored transitions of one episode and of many, and who has most; writes nothing."""

from sqlalchemy import Engine, select

from inference.alarms.alarm import AlarmKind, AlarmPriority, AlarmState
from inference.alarms.records import Transition
from ingest.store.schema import alarm_transition_table


def transitions_of(engine: Engine, device: str, kind: AlarmKind, since_us: int) -> list[Transition]:
    """Every transition of one episode, oldest first; none when it is unknown."""
    table = alarm_transition_table.c
    query = (
        select(alarm_transition_table)
        .where(table.device == device, table.kind == kind.value, table.since_us == since_us)
        .order_by(table.id)
    )
    with engine.connect() as connection:
        return [
            Transition(
                device=row.device,
                kind=AlarmKind(row.kind),
                at_us=row.at_us,
                state=AlarmState(row.state),
                priority=AlarmPriority(row.priority),
                text=row.text,
                since_us=row.since_us,
                who=row.who,
                model=row.model,
            )
            for row in connection.execute(query)
        ]
