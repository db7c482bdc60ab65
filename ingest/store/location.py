"""Where the waveforms of a store are: beside an SQLite file, in the same PostgreSQL, in memory for none."""

import shutil
import tempfile
import weakref
from pathlib import Path

from sqlalchemy import Engine

from ingest.store.partitions import PartitionStore
from ingest.store.segments import SegmentStore
from ingest.store.waveforms import Waveforms

_in_memory: weakref.WeakKeyDictionary[Engine, Path] = weakref.WeakKeyDictionary()


def waveforms_of(engine: Engine) -> Waveforms:
    """The waveforms that belong to the store of `engine`; nothing is made before the first append."""
    if engine.dialect.name == "postgresql":
        return PartitionStore(engine)
    return SegmentStore(folder_of(engine))


def folder_of(engine: Engine) -> Path:
    """`NAME-waveforms` beside the SQLite file `NAME.sqlite`; a temporary one for a store in memory."""
    database = engine.url.database
    if database in (None, "", ":memory:"):
        if engine not in _in_memory:
            folder = Path(tempfile.mkdtemp(prefix="wristlead-"))
            weakref.finalize(engine, shutil.rmtree, folder, ignore_errors=True)
            _in_memory[engine] = folder
        return _in_memory[engine] / "waveforms"
    file = Path(str(database))
    return file.with_name(f"{file.stem}-waveforms")
