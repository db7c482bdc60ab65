"""Laws of the simulated device and of its faults."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.wire import WireError, decode
from simulators.device import Device
from simulators.faults import NO_FAULTS, FaultPlan, FaultyPath, Kind, Outgoing, Spell, parse_faults
from simulators.patients import build_patient

START_S = 1_790_000_000.0


def device_of(name: str = "sinus", faults: FaultPlan = NO_FAULTS, seed: int = 1) -> Device:
    patient = build_patient(name, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    return Device("demo/bed-01", "Bed 01", patient, 0xCAFE, rng, faults=faults)


def run_for(device: Device, seconds: float, tick_s: float = 0.25) -> list[Outgoing]:
    messages = [m for i in range(round(seconds / tick_s) + 1) for m in device.step(START_S + i * tick_s)]
    return messages + device.flush()


def chunks_in(messages: list[Outgoing]) -> list[Chunk]:
    return [decode(m.payload, m.device) for m in messages if m.kind is not Kind.NOTICE]


@pytest.mark.parametrize("name", ["sinus", "replay:PVC"])
def test_chunks_carry_the_patients_ecg_without_gap_or_overlap(name: str) -> None:
    device = device_of(name)
    chunks = chunks_in(run_for(device, 10))
    assert len(chunks) == 40
    assert [c.first_sample for c in chunks[1:]] == [c.end_sample for c in chunks[:-1]]
    assert [c.seq for c in chunks] == list(range(40))
    assert {c.session for c in chunks} == {0xCAFE}
    fs = device.patient.fs
    assert chunks[-1].end_sample == 10 * fs
    for chunk in chunks:
        assert chunk.wall_time_us == pytest.approx((START_S + chunk.first_sample / fs) * 1e6, abs=2)
    same = build_patient(name, np.random.default_rng(1)).next_samples(round(10 * fs))
    got = np.concatenate([c.samples_mv[:, 0] for c in chunks])
    np.testing.assert_allclose(got, same, atol=0.00051)


def test_how_often_a_device_is_stepped_changes_nothing() -> None:
    faults = parse_faults(["drop=0.1", "duplicate=0.1", "reorder=0.1", "corrupt=0.1"])
    often, rarely = (
        [(m.kind, m.payload) for m in run_for(device_of(faults=faults), 60, tick_s)]
        for tick_s in (0.125, 7.5)
    )
    assert often == rarely
    assert len(often) > 200


def test_nothing_is_sent_before_it_was_measured() -> None:
    device = device_of()
    assert device.step(START_S) == []
    assert device.step(START_S + 0.249) == []
    assert len(device.step(START_S + 0.25)) == 1


def test_the_greeting_tells_that_a_replay_is_a_replay() -> None:
    meta, status = device_of("replay:MI").greeting()
    assert meta.topic == "ecg/v1/demo/bed-01/meta"
    told = json.loads(meta.payload)
    assert (told["source"], told["lead"], told["unit"], told["fs"]) == ("replay", "I", "uV", 500.0)
    assert told["name"] == "Bed 01"
    assert "PTB-XL" in told["recording"]
    assert json.loads(status.payload) == {"online": True, "battery": 81}
    assert meta.retain
    assert status.retain
    assert json.loads(device_of().will.payload) == {"online": False}


def test_the_battery_runs_down_and_is_told() -> None:
    told = [json.loads(m.payload) for m in run_for(device_of(), 1_300, 10) if m.kind is Kind.NOTICE]
    assert told == [{"online": True, "battery": 80}, {"online": True, "battery": 79}]


MESSAGES = [
    Outgoing("t", bytes([0xEC, *i.to_bytes(4, "big"), *bytes(40)]), kind=Kind.CHUNK, first_sample=i)
    for i in range(20_000)
]


def sent(**rates: float) -> tuple[FaultyPath, list[Outgoing]]:
    path = FaultyPath(FaultPlan(**rates), np.random.default_rng(4))  # type: ignore[arg-type]  # rates only
    return path, [m for message in MESSAGES for m in path.push(message)] + path.flush()


def test_without_faults_everything_passes_unchanged() -> None:
    assert sent()[1] == MESSAGES


def test_drops_have_the_rate_asked_and_are_counted() -> None:
    path, out = sent(drop=0.02)
    assert path.dropped == pytest.approx(400, rel=0.15)
    assert len(out) == len(MESSAGES) - path.dropped
    assert [m.first_sample for m in out] == sorted({m.first_sample for m in out})


def test_duplicates_have_the_rate_asked_and_nothing_is_lost() -> None:
    _, out = sent(duplicate=0.02)
    kinds = Counter(m.kind for m in out)
    assert kinds[Kind.DUPLICATE] == pytest.approx(400, rel=0.15)
    assert [m for m in out if m.kind is Kind.CHUNK] == MESSAGES


def test_reordering_has_the_rate_asked_moves_by_one_and_loses_nothing() -> None:
    _, out = sent(reorder=0.02)
    order = [m.first_sample for m in out]
    swaps = sum(a > b for a, b in pairwise(order))
    assert swaps == pytest.approx(400, rel=0.15)
    assert sorted(order) == list(range(len(MESSAGES)))
    assert max(abs(i - at) for i, at in enumerate(order)) == 1


def test_corruption_has_the_rate_asked_and_is_always_seen_by_the_receiver() -> None:
    _, out = sent(corrupt=0.02)
    assert len(out) == len(MESSAGES)
    spoilt = [m for m in out if m.kind is Kind.CORRUPT]
    assert len(spoilt) == pytest.approx(400, rel=0.15)
    assert [m for m in out if m.kind is Kind.CHUNK] == [
        m for m, got in zip(MESSAGES, out, strict=True) if got.kind is Kind.CHUNK
    ]
    for message in run_for(device_of(faults=FaultPlan(corrupt=1.0)), 60):
        with pytest.raises(WireError):
            decode(message.payload, message.device)


def test_faults_together_lose_only_what_was_dropped() -> None:
    path, out = sent(drop=0.05, duplicate=0.05, reorder=0.05, corrupt=0.05)
    assert path.dropped > 500
    assert len({m.first_sample for m in out}) == len(MESSAGES) - path.dropped


def test_a_late_clock_is_late_and_orders_nothing() -> None:
    on_time, late = (
        chunks_in(run_for(device_of(), 5)),
        chunks_in(run_for(device_of(faults=parse_faults(["clock=90"])), 5)),
    )
    assert {a.wall_time_us - b.wall_time_us for a, b in zip(on_time, late, strict=True)} == {90_000_000}
    assert [c.first_sample for c in on_time] == [c.first_sample for c in late]


def test_swapped_electrodes_turn_the_lead_upside_down() -> None:
    upright = chunks_in(run_for(device_of(), 5))
    inverted = chunks_in(run_for(device_of(faults=parse_faults(["inverted"])), 5))
    for before, after in zip(upright, inverted, strict=True):
        np.testing.assert_allclose(after.samples_mv, -before.samples_mv, atol=1e-6)
        assert (after.leads, after.flags, after.seq) == (before.leads, before.flags, before.seq)


def test_a_device_may_not_say_which_lead_it_sends() -> None:
    device = device_of("replay:MI", faults=parse_faults(["untold"]))
    assert json.loads(device.greeting()[0].payload)["lead"] is None
    assert {c.leads for c in chunks_in(run_for(device, 2))} == {(Lead.UNKNOWN,)}


def test_lead_off_is_flagged_and_flat_for_as_long_as_asked() -> None:
    chunks = chunks_in(run_for(device_of(faults=parse_faults(["lead-off=5/20"])), 20))
    off = [c for c in chunks if ChunkFlag.LEAD_OFF in c.flags]
    assert len(off) == 20
    assert off[0].first_sample == 10 * 500
    assert all(not c.samples_mv.any() for c in off)
    assert all(c.samples_mv.any() for c in chunks if c not in off)


def test_a_device_is_out_of_reach_for_as_long_as_asked_and_measures_on() -> None:
    device = device_of(faults=parse_faults(["disconnect=6/60"]))
    assert not device.is_out_of_reach(START_S + 33)
    away = []
    n_chunks = 0
    for i in range(480):
        n_chunks += len(device.step(START_S + i / 4))
        away.append(device.is_out_of_reach(START_S + i / 4))
    assert sum(away) / 4 == 12
    assert [away[at * 4] for at in (29, 30, 35, 36, 90, 96)] == [False, True, True, False, True, False]
    assert n_chunks == 479


def test_fault_words_become_a_plan() -> None:
    plan = parse_faults(["drop=.02", "disconnect=6/60", "clock=-3600"])
    assert plan == FaultPlan(drop=0.02, disconnect=Spell(6, 60), clock=-3600)
    assert parse_faults([]) == NO_FAULTS


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("dorp=0.1", "unknown fault 'dorp=0.1': want one of drop"),
        ("drop", "want a number from 0 to 1"),
        ("drop=2", "want a number from 0 to 1"),
        ("drop=nan", "want a number from 0 to 1"),
        ("disconnect=6", "want SECONDS/EVERY"),
        ("disconnect=40/60", "want SECONDS/EVERY"),
        ("lead_off=x/60", "want a number from 0 to 86400"),
        ("inverted=1", "want inverted without a value"),
        ("upside-down", "or inverted or untold alone"),
    ],
)
def test_a_fault_that_means_nothing_is_refused(spec: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_faults([spec])
