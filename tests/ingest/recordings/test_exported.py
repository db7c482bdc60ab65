"""What `wristlead export` writes is read again, sample for sample."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks.recording_files import ecg_uv
from ingest.chunk import Lead
from ingest.recordings import Hints, read
from tests.ingest.export.test_export import START_US, House, Stream
from tests.ingest.recordings.reading import in_uv

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # wfdb's own, of pandas
START = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=START_US)


@pytest.mark.parametrize("file_format", ["wfdb", "edf", "csv"])
def test_an_export_is_read_as_it_was_sent(tmp_path: Path, file_format: str) -> None:
    uv, stream = ecg_uv(10.3, 512), Stream()
    for first in range(0, len(uv), 512):
        stream.send(first, uv[first : first + 512, None])
    house = House(tmp_path)
    house.store(stream)
    (found,) = read(house.export(file_format), Hints(zone=UTC))  # the folder, with its notes beside
    assert in_uv(found) == uv.tolist()
    assert found.fs == pytest.approx(512, rel=1e-6)
    assert found.lead is Lead.I
    assert found.start is not None
    assert abs(found.start - START) < timedelta(seconds=1)


@pytest.mark.parametrize("file_format", ["wfdb", "csv"])
def test_a_hole_is_a_hole_again(tmp_path: Path, file_format: str) -> None:
    uv, stream = ecg_uv(10, 512), Stream()
    for first in (*range(0, 2048, 512), *range(3072, 5120, 512)):
        stream.send(first, uv[first : first + 512, None])
    house = House(tmp_path)
    house.store(stream)
    (found,) = read(house.export(file_format))
    assert np.flatnonzero(np.isnan(found.samples_mv)).tolist() == list(range(2048, 3072))
