"""The tables are made, and those of an earlier version brought up to date, whoever comes first."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from ingest.store.schema import add_column, metadata, open_store, verdict_table

FORMER = Path(__file__).with_name("store_of_the_first_version.sql")  # written by it: tables and two verdicts
MOVED = {"chunk", "vitals"}  # by the archive, to the waveforms (former.py)


def test_services_that_start_together_all_open_the_same_new_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    code = f"from ingest.store.schema import open_store; open_store({url!r})"
    together = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(6)]
    assert [process.wait(60) for process in together] == [0] * 6
    assert set(inspect(open_store(url)).get_table_names()) == set(metadata.tables)


def test_who_writes_a_file_that_is_not_journalled_ahead_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.executescript("CREATE TABLE other (id INTEGER); BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="is locked"):
        open_store(f"sqlite:///{path}", busy_wait_ms=0)
    lets_go = threading.Timer(0.2, writer.execute, ("COMMIT",))
    lets_go.start()
    with open_store(f"sqlite:///{path}").connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    lets_go.join()
    writer.close()


@pytest.fixture
def former_url(tmp_path: Path) -> str:
    path = tmp_path / "store.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(FORMER.read_text())
    connection.close()
    return f"sqlite:///{path}"


def columns_of(url: str) -> dict[str, set[str]]:
    inspector = inspect(create_engine(url))
    return {
        table: {column["name"] for column in inspector.get_columns(table)}
        for table in inspector.get_table_names()
    }


def test_a_store_of_the_first_version_gains_what_it_lacks_and_keeps_its_rows(former_url: str) -> None:
    assert "lead" not in columns_of(former_url)["verdict"]
    engine = open_store(former_url)
    columns = columns_of(former_url)
    assert {name: columns[name] for name in columns if name not in MOVED} == {
        table.name: {column.name for column in table.columns} for table in metadata.sorted_tables
    }
    with engine.connect() as connection:
        rows = connection.execute(verdict_table.select().order_by(verdict_table.c.first_sample)).all()
    assert [(row.device, row.first_sample) for row in rows] == [("ward/bed-1", 0), ("ward/bed-1", 5120)]
    assert [(row.rhythm, row.lead, row.lead_inferred) for row in rows] == [("[]", None, False)] * 2


def test_services_that_start_together_on_a_former_store_all_open_it(former_url: str) -> None:
    code = f"from ingest.store.schema import open_store; open_store({former_url!r})"
    together = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(6)]
    assert [process.wait(60) for process in together] == [0] * 6
    assert columns_of(former_url)["verdict"] == {column.name for column in verdict_table.columns}


def test_postgresql_adds_a_column_only_where_it_is_missing() -> None:
    statement = add_column(verdict_table.c.lead_inferred, make_url("postgresql://").get_dialect()())
    assert statement == (
        "ALTER TABLE verdict ADD COLUMN IF NOT EXISTS lead_inferred BOOLEAN DEFAULT false NOT NULL"
    )


def write(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM verdict"))


def test_a_connection_that_was_opened_while_nothing_could_be_written_is_not_kept(tmp_path: Path) -> None:
    engine = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    engine.dispose()
    connections = []

    def open_for_reading_only_once(connection: sqlite3.Connection, _record: object) -> None:
        connections.append(connection)
        if len(connections) == 1:
            connection.execute("PRAGMA query_only=ON")  # as of a file that may not be written just then

    event.listen(engine, "connect", open_for_reading_only_once)
    with pytest.raises(OperationalError, match="readonly") as failure:
        write(engine)
    write(engine)
    assert len(connections) == 2
    files = [each.path for each in psutil.Process().open_files()]
    assert files.count(str(tmp_path / "store.sqlite")) == 1  # though somebody still looks at the failure
    assert failure.value.__traceback__ is not None
    engine.dispose()
