"""The planner's memory -> the store, and back again."""

from sqlalchemy import Engine, select

from ingest.store.insertion import insert_replacing
from ingest.store.schema import notify_memory_table

PLANNER = "planner"


def save_memory(engine: Engine, memory: bytes) -> None:
    """Keep the newest snapshot; raises sqlalchemy.exc.SQLAlchemyError when the store does not take it."""
    row = {"name": PLANNER, "memory": memory.decode()}
    with engine.begin() as connection:
        connection.execute(insert_replacing(connection.dialect.name, notify_memory_table), row)


def load_memory(engine: Engine) -> bytes | None:
    """The newest snapshot, for `NotificationPlanner.restore`; None before the first."""
    query = select(notify_memory_table.c.memory).where(notify_memory_table.c.name == PLANNER)
    with engine.connect() as connection:
        text = connection.scalar(query)
    return None if text is None else str(text).encode()
