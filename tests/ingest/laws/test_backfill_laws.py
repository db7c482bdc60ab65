"""Whatever order, loss, repetition, lateness and death do: the store ends with every window full."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.ingest.laws.life import DEVICE, LENGTH, SECOND_US, START_US, Life, Message, Session, message, truth


def cuts(rng: np.random.Generator, session: Session) -> list[tuple[int, int]]:
    first, end = session.first_sample, session.first_sample + session.n_samples
    inner = rng.integers(first + 1, end, int(rng.integers(10, 60)))
    return list(pairwise(np.unique([first, *inner, end]).tolist()))


def sessions_of(rng: np.random.Generator) -> list[Session]:
    made, start_us = [], START_US
    for number in range(1, int(rng.integers(2, 4))):
        n_samples = int(rng.integers(500, 6000))
        first = int(rng.integers(1, 3000)) if rng.random() < 0.33 else 0
        made.append(Session(number, n_samples, start_us, first))
        start_us += round((n_samples / 100 + rng.uniform(1, 30)) * SECOND_US)
    return made


def troubled(rng: np.random.Generator, session: Session, end_us: int) -> Iterator[Message]:
    """Chunks on time, twice, cut anew, late, backfilled hours later in any order, or never."""
    for first, end in cuts(rng, session):
        done_us = session.taken_us(end)
        fate = rng.random()
        if fate < 0.6:
            yield message(session, first, end, done_us + round(rng.uniform(0.05, 1.2) * SECOND_US))
        if fate < 0.1:
            yield message(session, first, end, done_us + round(rng.uniform(0.05, 9.0) * SECOND_US))
        if 0.1 < fate < 0.2:
            a, b = sorted(rng.integers(first, end, 2).tolist())
            if a < b:
                yield message(session, a, b, done_us + round(rng.uniform(0.05, 9.0) * SECOND_US))
        if 0.6 < fate < 0.7:
            yield message(session, first, end, done_us + round(rng.uniform(3.0, 15.0) * SECOND_US))
        if 0.15 < fate < 0.3 or 0.7 < fate < 0.95:
            late_us = end_us + round(rng.uniform(-60.0, 3600.0) * SECOND_US)
            flagged = bool(rng.random() < 0.5)
            yield message(session, first, end, max(done_us, late_us), historic=True, flagged=flagged)


def check(life: Life, sessions: list[Session], messages: list[Message]) -> None:
    """The store against what was published."""
    wanted = truth(sessions, messages)
    stored = {(w.session, w.first_sample): w for w in life.windows()}
    assert all(first % LENGTH == 0 for _, first in stored)
    for number, samples in wanted.items():
        np.testing.assert_array_equal(life.archive.samples(DEVICE, number, 0, len(samples)), samples)
        for first in range(0, len(samples) - LENGTH + 1, LENGTH):
            here, window = samples[first : first + LENGTH], stored.get((number, first))
            share = np.count_nonzero(~np.isnan(here)) / LENGTH
            if share == 0:
                assert window is None, (number, first)
            else:
                assert window is not None, (number, first)
                assert window.coverage == share, (number, first)
                np.testing.assert_array_equal(window.samples_mv, here)


@pytest.mark.parametrize("seed", range(12))
def test_every_late_sample_finds_its_window_whatever_happens(seed: int, tmp_path: Path) -> None:
    live_and_check(seed, tmp_path)


def test_a_window_that_waited_uncommitted_for_a_quarter_of_an_hour_survives_a_kill(tmp_path: Path) -> None:
    live_and_check(1132, tmp_path)


def test_what_was_cut_late_before_a_stream_went_on_stays_in_its_live_window(tmp_path: Path) -> None:
    live_and_check(1313, tmp_path)


def test_what_a_forgotten_device_sent_on_survives_a_kill_in_the_middle_of_its_window(tmp_path: Path) -> None:
    live_and_check(1468, tmp_path)


def test_the_last_window_of_a_session_that_time_alone_ended_survives_a_kill(tmp_path: Path) -> None:
    live_and_check(1118, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(20))
def test_every_late_sample_finds_its_window_whatever_happens_in_a_thousand_lives(
    block: int, tmp_path: Path
) -> None:
    for seed in range(1000 + 50 * block, 1050 + 50 * block):
        folder = tmp_path / str(seed)
        folder.mkdir()
        live_and_check(seed, folder)


def live_and_check(seed: int, folder: Path) -> None:
    rng = np.random.default_rng(seed)
    sessions = sessions_of(rng)
    end_us = max(session.taken_us(session.first_sample + session.n_samples) for session in sessions)
    messages = [each for session in sessions for each in troubled(rng, session, end_us)]
    kills = rng.integers(1, len(messages) + 1, 4).tolist() if seed % 3 else []
    life = Life(folder)
    life.live(messages, rng, kills)
    life.settle()
    check(life, sessions, messages)
    places = [(w.session, w.first_sample, w.coverage, w.historic) for w in life.published]
    assert len(places) == len(set(places)), "a window was published twice"
    life.close()
