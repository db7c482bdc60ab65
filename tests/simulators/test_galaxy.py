"""A simulated Galaxy Watch: the SDK's payload, read by its mapper to exactly what the patient gave."""

import json
from itertools import pairwise

import numpy as np
import pytest

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.mappers.configuration import parse_mappers
from ingest.mappers.switch import Mappers
from simulators.faults import Outgoing, parse_faults
from simulators.galaxy import GalaxyWatch
from simulators.patients import build_patient

START_S = 1_790_000_000.0
TABLE = '[[mapper]]\ntopic = "watch/+/ecg"\npreset = "galaxy_watch"\ndevice = { level = 1 }'


def watch(*faults: str, points: int = 10) -> GalaxyWatch:
    patient = build_patient("sinus", np.random.default_rng(1))
    rng = np.random.default_rng(2)
    return GalaxyWatch("home/gw-1", "Gw", patient, rng, points=points, faults=parse_faults(faults))


def sent(one: GalaxyWatch, seconds: float) -> list[Outgoing]:
    one.step(START_S)
    messages = [m for k in range(round(4 * seconds)) for m in one.step(START_S + (k + 1) / 4)]
    return [m for m in messages if m.topic == "watch/gw-1/ecg"]


def mapped(messages: list[Outgoing]) -> list[Chunk]:
    mappers = Mappers(parse_mappers(TABLE, "test"))
    found = []
    for message in messages:
        mapper = mappers.of(message.topic)
        assert mapper is not None
        at_us = round((START_S + message.first_sample / 500 + 0.1) * 1e6)
        found += mapper.push(message.topic, message.payload, at_us)
    return found


@pytest.mark.parametrize("points", [5, 10])
def test_the_payload_is_that_of_the_sdk_and_its_counter_goes_round(points: int) -> None:
    batches = [json.loads(m.payload)["points"] for m in sent(watch(points=points), 10.0)]
    assert len(batches) == 5000 // points
    assert [b[0]["SEQUENCE"] for b in batches] == [k % 256 for k in range(len(batches))]
    told = {"TIMESTAMP", "SEQUENCE", "LEAD_OFF", "MAX_THRESHOLD_MV", "MIN_THRESHOLD_MV", "ECG_MV"}
    assert {frozenset(b[0]) for b in batches} == {frozenset(told)}
    assert {frozenset(point) for b in batches for point in b[1:]} == {frozenset({"ECG_MV"})}
    assert {b["TIMESTAMP"] - a["TIMESTAMP"] for (a, *_), (b, *_) in pairwise(batches)} == {2 * points}


@pytest.mark.parametrize("points", [5, 10])
def test_what_the_mapper_reads_is_what_the_patient_gave(points: int) -> None:
    chunks = mapped(sent(watch(points=points), 10.0))
    truth_mv = build_patient("sinus", np.random.default_rng(1)).next_samples(5000)
    samples_mv = np.concatenate([c.samples_mv[:, 0] for c in chunks])
    np.testing.assert_allclose(samples_mv, truth_mv, atol=0.00051)
    assert {(c.device, c.session, c.fs, c.leads) for c in chunks} == {
        ("home/gw-1", chunks[0].session, 500.0, (Lead.I,))
    }
    assert [c.first_sample for c in chunks] == list(range(0, 5000, points))


def test_lost_batches_are_exact_gaps_and_a_loose_finger_is_told() -> None:
    messages = sent(watch("drop=0.1", "lead_off=2/10"), 10.0)
    chunks = mapped(messages)
    assert len(messages) < 480
    assert [c.first_sample for c in chunks] == [m.first_sample - messages[0].first_sample for m in messages]
    off_s = [
        m.first_sample / 500 for m, c in zip(messages, chunks, strict=True) if ChunkFlag.LEAD_OFF in c.flags
    ]
    assert min(off_s) == pytest.approx(5.0, abs=0.2)
    assert max(off_s) == pytest.approx(7.0, abs=0.2)


@pytest.mark.parametrize(("faults", "points"), [(["untold"], 10), (["duplicate=0.1"], 10), ([], 7)])
def test_what_it_cannot_be_is_refused(faults: list[str], points: int) -> None:
    with pytest.raises(ValueError, match=r"Galaxy Watch sends 5 or 10|for devices of wire v1"):
        watch(*faults, points=points)
