"""What a stream's trouble may and may not change: chunking, order, repetition, clocks, counters, restarts."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray

from inference.preprocess import prepare_window
from ingest.wire import decode, encode_binary
from tests.ingest.laws.life import DEVICE, FS, LENGTH, SECOND_US, START_US, Life, Message, Session, message

WHOLE = Session(5, 4300, START_US)
EPOCHS_US = {"2000": 946_684_800_000_000, "2019": 1_546_300_800_000_000}
SEEDS = range(6)


def cut(rng: np.random.Generator, session: Session, n: int = 40) -> list[Message]:
    """The whole session in random chunks, each when its last sample was taken."""
    edges = np.unique([0, *rng.integers(1, session.n_samples, n), session.n_samples]).tolist()
    return [message(session, first, end, session.taken_us(end)) for first, end in pairwise(edges)]


def delayed(rng: np.random.Generator, messages: Iterable[Message], at_most_s: float) -> list[Message]:
    return [replace(m, at_us=m.at_us + round(rng.uniform(0, at_most_s) * SECOND_US)) for m in messages]


def lived(folder: Path, messages: list[Message], seed: int, kills: tuple[int, ...] = ()) -> Life:
    life = Life(folder)
    life.live(messages, np.random.default_rng(seed), kills)
    life.settle()
    life.close()
    return life


def places(life: Life, session: int) -> list[tuple[int, float, bytes]]:
    """The stored windows, byte for byte."""
    return [
        (w.first_sample, w.coverage, w.samples_mv.tobytes()) for w in life.windows() if w.session == session
    ]


def expected(samples: NDArray[np.float32]) -> list[tuple[int, float, bytes]]:
    """The windows that hold one of the samples; NaN where none came, up to the end of the last window."""
    padded = np.full(-(-len(samples) // LENGTH) * LENGTH, np.nan, np.float32)
    padded[: len(samples)] = samples
    made: list[tuple[int, float, bytes]] = []
    for first in range(0, len(padded), LENGTH):
        window = padded[first : first + LENGTH]
        came = np.count_nonzero(~np.isnan(window))
        if came:
            made.append((first, came / LENGTH, window.tobytes()))
    return made


def with_holes(messages: list[Message], samples: NDArray[np.float32], lost: set[int]) -> list[Message]:
    for number in lost:
        samples[messages[number].first : messages[number].end] = np.nan
    return [each for number, each in enumerate(messages) if number not in lost]


@pytest.mark.parametrize("seed", SEEDS)
def test_neither_chunking_nor_order_nor_repetition_changes_the_windows(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    messages = delayed(rng, cut(rng, WHOLE), 1.0) + delayed(rng, cut(rng, WHOLE), 1.0)
    messages += [replace(each, at_us=each.at_us + SECOND_US) for each in messages[::3]]
    life = lived(tmp_path, messages, seed)
    assert places(life, 5) == expected(WHOLE.sample(0, 4300))
    live = {w.first_sample for w in life.published if not w.historic}
    assert live == {0, 1000, 2000, 3000}  # the last is not full: it is cut once the device is forgotten


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restart_anywhere_leaves_the_same_windows_and_no_hole(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    messages = delayed(rng, cut(rng, WHOLE), 1.0)
    kills = tuple(rng.integers(1, len(messages) + 1, 5).tolist())
    life = lived(tmp_path, messages, seed, kills)
    assert places(life, 5) == expected(WHOLE.sample(0, 4300))
    live = {w.first_sample for w in life.published if not w.historic}
    assert live <= {0, 1000, 2000, 3000}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gap_is_exact_to_the_sample_and_the_model_sees_nothing_in_it(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    messages, samples = cut(rng, WHOLE), WHOLE.sample(0, 4300)
    lost = set(rng.integers(1, len(messages), 9).tolist())
    life = lived(tmp_path, with_holes(messages, samples, lost), seed)
    assert places(life, 5) == expected(samples)
    for window in life.windows():
        is_missing = np.isnan(window.samples_mv)
        assert not prepare_window(window.samples_mv, FS)[is_missing].any()


def stepped(messages: list[Message], wall_us: Iterable[int]) -> list[Message]:
    made = []
    for each, at_us in zip(messages, wall_us, strict=True):
        chunk = structs.replace(decode(each.payload, DEVICE), wall_time_us=at_us)
        made.append(replace(each, payload=encode_binary(chunk)))
    return made


Clock = Callable[[int, int], int]  # (true time, number of the chunk) -> what the device tells

CLOCKS: dict[str, Clock] = {
    "2000": lambda us, _k: EPOCHS_US["2000"] + us - START_US,
    "2019": lambda us, _k: EPOCHS_US["2019"] + us - START_US,
    "forward an hour": lambda us, k: us + (3600 * SECOND_US if k > 15 else 0),
    "back an hour": lambda us, k: us - (3600 * SECOND_US if k > 15 else 0),
    "from 2000 to now": lambda us, k: us if k > 15 else EPOCHS_US["2000"],
    "stands still": lambda _us, _k: START_US,
    "runs back": lambda us, _k: 2 * START_US - us,
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_the_device_clock_never_moves_a_sample(clock: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    messages = delayed(rng, cut(rng, WHOLE), 1.0)
    told = stepped(messages, [CLOCKS[clock](m.at_us, k) for k, m in enumerate(messages)])
    life = lived(tmp_path, told, 1, kills=(20,))
    assert places(life, 5) == expected(WHOLE.sample(0, 4300))
    assert len(life.published) == 5


@pytest.mark.parametrize("drift", [-0.01, 0.01])
def test_a_clock_that_drifts_by_one_percent_loses_and_adds_no_sample(drift: float, tmp_path: Path) -> None:
    messages = cut(np.random.default_rng(2), WHOLE)
    drifting = [replace(m, at_us=START_US + round((m.at_us - START_US) * (1 + drift))) for m in messages]
    life = lived(tmp_path, drifting, 2)
    assert places(life, 5) == expected(WHOLE.sample(0, 4300))


def test_a_chunk_counter_that_wraps_changes_nothing(tmp_path: Path) -> None:
    made = []
    for number, each in enumerate(cut(np.random.default_rng(3), WHOLE)):
        chunk = structs.replace(decode(each.payload, DEVICE), seq=(2**32 - 7 + number) % 2**32)
        made.append(replace(each, payload=encode_binary(chunk)))
    assert places(lived(tmp_path, made, 3, kills=(5, 11)), 5) == expected(WHOLE.sample(0, 4300))


@pytest.mark.parametrize("late_s", [1.0, 8.0])
def test_first_chunks_that_come_last_find_their_place(late_s: float, tmp_path: Path) -> None:
    messages = cut(np.random.default_rng(4), WHOLE)
    first = [replace(each, at_us=each.at_us + round(late_s * SECOND_US)) for each in messages[:3]]
    life = lived(tmp_path, first + messages[3:], 4)
    assert places(life, 5) == expected(WHOLE.sample(0, 4300))


@pytest.mark.parametrize("seed", SEEDS)
def test_an_old_session_that_goes_on_among_a_new_one_mixes_with_nothing(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    later = Session(6, 3200, START_US + 45 * SECOND_US)
    old = delayed(rng, cut(rng, WHOLE), 1.0)
    held = [replace(each, at_us=each.at_us + 20 * SECOND_US) for each in old[-15:]]  # in the device's queue
    life = lived(tmp_path, old[:-15] + held + delayed(rng, cut(rng, later), 1.0), seed, kills=(30, 50))
    assert places(life, 5) == expected(WHOLE.sample(0, 4300))
    assert places(life, 6) == expected(later.sample(0, 3200))
    live = [w.first_sample for w in life.published if w.session == 6 and not w.historic]
    assert live == [0, 1000, 2000]  # the old one ends no live window of the new one
    assert life.intake.counters.refused == 0
