"""Where chunks belong, told without their messages: the same by both stores, and sealed or not."""

from pathlib import Path

import numpy as np
from msgspec.structs import replace

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.store.archive import Archive
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import open_store
from ingest.store.sealed import seal
from ingest.store.segments import SegmentStore
from ingest.wire import encode_binary


def received(first: int, at_us: int, *, historic: bool = False) -> ReceivedChunk:
    flags = ChunkFlag.HISTORIC if historic else ChunkFlag(0)
    samples_mv = np.zeros((50, 1), np.float32)
    chunk = Chunk("a/b", 9, 0, first, 1, 0, 500.0, (Lead.I,), samples_mv, flags)
    return ReceivedChunk(chunk, encode_binary(chunk), at_us)


CHUNKS = [received(0, 100), received(50, 200), received(200, 250), received(100, 300, historic=True)]
WANTED = [(9, 50, 50, 200, False), (9, 200, 50, 250, False), (9, 100, 50, 300, True)]


def test_both_stores_tell_the_same_in_order_of_arrival(store_url: str) -> None:
    engine = open_store(store_url)
    archive = Archive(engine)
    archive.commit([replace(each, chunk=replace(each.chunk, device="a/c")) for each in CHUNKS])
    archive.commit(CHUNKS[2:])
    archive.commit(CHUNKS[:2])
    assert archive.waveforms.places("a/b", 200, 301).tolist() == WANTED
    assert len(archive.waveforms.places("a/b", 0, 100)) == 0
    assert len(archive.waveforms.places("a/d", 0, 1 << 62)) == 0
    engine.dispose()


def test_sealing_changes_nothing(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path / "waveforms")
    store.append(CHUNKS)
    store.close()
    [path] = store.folder.iterdir()
    assert seal(path, rest=0.0) is not None
    assert SegmentStore(store.folder).places("a/b", 200, 301).tolist() == WANTED
