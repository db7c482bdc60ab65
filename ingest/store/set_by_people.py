"""What people set that ingest owns: its newest value, and a line of the log that everything set shares."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from ingest.store.schema import alarm_setting_table, window_table

EVERYTHING = "*"  # the scope of what concerns all devices
MOST_COUNTED = 100_000  # windows; to count more of them would hold up commits


@dataclass(frozen=True, slots=True)
class SetLine:
    """One line: what it was, what it is; None where it is the default."""

    at_us: int
    who: str
    what: str
    before: str | None
    after: str | None


def write_line(connection: Connection, line: SetLine) -> None:
    """Add it."""
    row = {
        "at_us": line.at_us,
        "who": line.who,
        "what": line.what,
        "scope": EVERYTHING,
        "before": line.before,
        "after": line.after,
    }
    connection.execute(insert(alarm_setting_table), row)


def newest_line(connection: Connection, what: str) -> SetLine | None:
    """The newest of that kind; None where there is none."""
    table = alarm_setting_table.c
    query = select(alarm_setting_table).where(table.what == what).order_by(table.id.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else SetLine(row.at_us, row.who, row.what, row.before, row.after)


def windows_before(connection: Connection, us: int) -> tuple[int | None, int, int]:
    """When the oldest window closed before `us` was, how many there are, and of how many devices.

    None where there is none; MOST_COUNTED at most are counted.
    """
    table = window_table.c
    old = select(table.device, table.closed_us).where(table.closed_us < us).order_by(table.closed_us)
    some = old.limit(MOST_COUNTED).subquery()
    facts = (func.min(some.c.closed_us), func.count(), func.count(some.c.device.distinct()))
    oldest_us, n_windows, n_devices = connection.execute(select(*facts)).one()
    return oldest_us, n_windows, n_devices
