"""A store with one day of one device, as ingest would have left it: sealed hours, and one that still grows.

Recorded ECG (see storage.py) at 512 Hz in chunks of a second, vitals each second among those of seven other
devices, a gap of ten minutes, an hour of noise, alarms and annotations.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from benchmarks.storage import FS, recorded
from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.annotations import Annotate, Annotation, save_annotations
from inference.alarms.records import save_alarms
from ingest.chunk import Chunk, Lead
from ingest.store.appending import SEGMENT
from ingest.store.blocks import chunk_block, vitals_block
from ingest.store.location import folder_of
from ingest.store.rows import ReceivedChunk
from ingest.store.schema import open_store
from ingest.store.sealed import seal
from ingest.vitals import SignalState, Vitals
from ingest.wire import encode_binary

DEVICE = "bench/one"
DAY_US = 1_789_948_800_000_000  # midnight of UTC
SESSION = 7
SECOND_US = 1_000_000
LATE_US = 180_000  # a chunk comes so much after its last sample, and up to as much again
GAP_S = range(36_000, 36_600)  # nothing came
NOISY_S = range(50_000, 53_600)
N_OTHERS = 7
AMPLIFIED = 4  # to about 1 mV


def make_day(store_url: str, hours: int = 24, start_us: int = DAY_US) -> None:
    """Write the day; the last hour stays a growing file."""
    engine = open_store(store_url)
    folder = folder_of(engine)
    folder.mkdir()
    _, samples_uv = recorded()
    samples_uv = np.clip(samples_uv * np.int32(AMPLIFIED), -32768, 32767).astype(np.int16)
    rng = np.random.default_rng(3)
    for hour in range(hours):
        name = f"{np.datetime64(start_us + hour * 3600 * SECOND_US, 'us').astype('M8[h]')}".replace("-", "")
        path = folder / f"{name}-1-00000001-0000{SEGMENT}"
        path.write_bytes(b"".join(_hour(hour, start_us, samples_uv, rng)))
        if hour < hours - 1:
            seal(path, rest=0.0)
    save_alarms(engine, _alarms(hours, start_us, rng), {})
    save_annotations(engine, _annotations(hours, start_us))
    engine.dispose()


def _hour(
    hour: int, start_us: int, samples_uv: NDArray[np.int16], rng: np.random.Generator
) -> Iterator[bytes]:
    for second in range(hour * 3600, (hour + 1) * 3600):
        at_us = start_us + second * SECOND_US
        rate_bpm = 72 + 12 * np.sin(second / 7000) + rng.normal(0, 1.5)
        signal = SignalState.NOISY if second in NOISY_S else SignalState.GOOD
        vitals = Vitals(
            DEVICE, SESSION, at_us, second * FS, float(rate_bpm), None, signal, rmssd_ms=31.0, sdnn_ms=52.0
        )
        if second in GAP_S:
            vitals = structs.replace(vitals, signal=SignalState.NO_DATA, heart_rate_bpm=None)
        elif second in NOISY_S:
            vitals = structs.replace(vitals, heart_rate_bpm=None)
        if second not in GAP_S:
            came_us = at_us + SECOND_US + LATE_US + int(rng.integers(0, LATE_US))
            yield chunk_block([_received(second, at_us, came_us, samples_uv)])
        others = [structs.replace(vitals, device=f"bench/other-{k}") for k in range(N_OTHERS)]
        yield vitals_block([vitals, *others])


def _received(second: int, at_us: int, came_us: int, samples_uv: NDArray[np.int16]) -> ReceivedChunk:
    begin = second * FS % (len(samples_uv) - FS)
    samples_mv = samples_uv[begin : begin + FS, None].astype(np.float32) / np.float32(1000)
    chunk = Chunk(DEVICE, SESSION, second, second * FS, at_us, 0, float(FS), (Lead.II,), samples_mv)
    return ReceivedChunk(chunk, encode_binary(chunk), came_us)


def _alarms(hours: int, start_us: int, rng: np.random.Generator) -> list[Alarm]:
    kinds = [
        (AlarmKind.RATE_LIMIT, AlarmQueue.PHYSIOLOGICAL, AlarmPriority.MEDIUM, "HR 134 > 120"),
        (AlarmKind.ASYSTOLE, AlarmQueue.PHYSIOLOGICAL, AlarmPriority.HIGH, "ASYSTOLE 5 s"),
        (AlarmKind.SIGNAL, AlarmQueue.TECHNICAL, AlarmPriority.LOW, "Noisy 31 s"),
        (AlarmKind.FINDING_STTC, AlarmQueue.ADVISORY, AlarmPriority.ADVISORY, "STTC .71"),
    ]
    said = []
    for since_s in sorted(rng.integers(0, hours * 3600 - 600, 3 * hours).tolist()):
        kind, queue, priority, words = kinds[int(rng.integers(0, len(kinds)))]
        since_us, end_us = (start_us + s * SECOND_US for s in (since_s, since_s + int(rng.integers(5, 300))))
        on = Alarm(DEVICE, kind, queue, priority, AlarmState.ON, words, since_us, since_us, session=SESSION)
        said += [on, replace(on, state=AlarmState.OFF, at_us=end_us)]
    return sorted(said, key=lambda alarm: alarm.at_us)


def _annotations(hours: int, start_us: int) -> list[Annotate]:
    notes = [("n1", 4000, None, "Patient walks to the window"), ("n2", 7000, 8200, "Physiotherapy")]
    asked = []
    for name, from_s, to_s, words in notes:
        if from_s < hours * 3600:
            span_us = [None if s is None else start_us + s * SECOND_US for s in (from_s, to_s)]
            note = Annotation(DEVICE, name, span_us[0] or 0, span_us[1], words, "A. B.", start_us)
            asked.append(Annotate(DEVICE, name, note, "A. B.", start_us))
    return asked
