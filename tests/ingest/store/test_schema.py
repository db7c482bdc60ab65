import subprocess
import sys
from pathlib import Path

from sqlalchemy import inspect

from ingest.store.schema import metadata, open_store


def test_services_that_start_together_all_open_the_same_new_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    code = f"from ingest.store.schema import open_store; open_store({url!r})"
    together = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(6)]
    assert [process.wait(60) for process in together] == [0] * 6
    assert set(inspect(open_store(url)).get_table_names()) == set(metadata.tables)
