"""A device's messages, and ingest without its broker: what was not acknowledged when it died comes again."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.backfill import best_windows
from ingest.chunk import NO_FLAGS, Chunk, ChunkFlag, Lead
from ingest.committer import Committer
from ingest.intake import Intake
from ingest.pipeline import DevicePipeline
from ingest.restore import restore_devices
from ingest.store.archive import Archive
from ingest.topics import device_topic
from ingest.window import Window
from ingest.wire import encode_binary

DEVICE = "ward/bed-1"
START_US = 1_790_000_000_000_000
SECOND_US = 1_000_000
FS = 100.0
LENGTH = 1000  # samples in a window


@dataclass(frozen=True)
class Session:
    """What the device measured between two of its restarts."""

    number: int
    n_samples: int
    start_us: int  # when its first sample was taken, our clock
    first_sample: int = 0

    def sample(self, first: int, end: int) -> NDArray[np.float32]:
        """Every sample is told from every other within reach; whole microvolts travel unharmed."""
        index = np.arange(first, end, dtype=np.int64) + 7919 * self.number
        return (index % 20_011 - 10_000).astype(np.float32) * np.float32(0.001)

    def taken_us(self, index: int) -> int:
        return self.start_us + round((index - self.first_sample) / FS * SECOND_US)


@dataclass(frozen=True, order=True)
class Message:
    """One publication as it arrives."""

    at_us: int
    session: int
    first: int
    end: int
    kind: str  # "chunk" or "backfill"
    payload: bytes = field(compare=False)


def message(
    session: Session,
    first: int,
    end: int,
    at_us: int,
    *,
    historic: bool = False,
    flagged: bool = False,
    wall_us: int | None = None,
    fs: float = FS,
) -> Message:
    flags = ChunkFlag.HISTORIC if historic and flagged else NO_FLAGS
    taken_us = session.taken_us(first) if wall_us is None else wall_us
    samples = session.sample(first, end)[:, None]
    chunk = Chunk(DEVICE, session.number, first % 2**32, first, taken_us, 0, fs, (Lead.I,), samples, flags)
    kind = "backfill" if historic and not flagged else "chunk"
    return Message(at_us, session.number, first, end, kind, encode_binary(chunk))


class Life:
    """Ingest with a real store; `live` gives it messages and kills it, `settle` lets it finish."""

    def __init__(self, folder: Path, hop_s: float = 10.0) -> None:
        self.archive = Archive.open(f"sqlite:///{folder / 'store.sqlite'}")
        self.published: list[Window] = []
        self.acknowledged: list[Message] = []
        self.hop_s = hop_s
        self.now_us = 0
        self._unacknowledged: list[Message] = []
        self._committer = Committer(self.archive)
        self._begin()

    def live(
        self,
        messages: Iterable[Message],
        rng: np.random.Generator,
        kills: Sequence[int] = (),
        every: int = 12,
    ) -> None:
        """Take the messages in order of arrival; after each number of them in `kills` die and restart."""
        waiting = deque(sorted(messages))
        taken, commit_in = 0, int(rng.integers(1, every))
        while waiting:
            self._pass_until(waiting[0].at_us)
            each = waiting.popleft()
            self.intake.receive(device_topic(DEVICE, each.kind), each.payload, self.now_us)
            self._unacknowledged.append(each)
            taken, commit_in = taken + 1, commit_in - 1
            if commit_in <= 0:
                self.commit()
                commit_in = int(rng.integers(1, every))
            if taken in kills:
                waiting.extendleft(reversed(self._unacknowledged))
                self._begin()
                restore_devices(self.archive, self.intake, self.hop_s, self.now_us)

    def commit(self) -> None:
        """One turn of the committer, as the service takes it."""
        self._committer.begin(self.intake.take(), [], self.now_us)
        outcome = self._committer.wait()
        assert outcome is not None
        assert not isinstance(outcome.committed, Exception)
        self.intake.contradict(outcome.committed.contradicting)
        self.acknowledged += self._unacknowledged
        self._unacknowledged = []
        self.published += [
            window
            for window in best_windows(outcome.batch.windows)
            if window.place in outcome.committed.new_windows
        ]
        self.intake.batch.windows += outcome.windows
        self.intake.batch.rework.done += outcome.done

    def settle(self, seconds: int = 800) -> None:
        """Let time pass until the device is forgotten and nothing is left to be cut."""
        self._pass_until(self.now_us + seconds * SECOND_US)
        self.commit()
        while not self.intake.batch.is_empty or self.archive.due_slots(self.now_us, 1):
            self.commit()

    def windows(self) -> list[Window]:
        """All that are stored, by place, with samples from the store."""
        found = self.archive.latest_windows(DEVICE, 100_000)
        return sorted(found, key=lambda window: (window.session, window.first_sample))

    def close(self) -> None:
        self._committer.close()

    def _begin(self) -> None:
        self._committer.close()
        self._committer = Committer(self.archive)
        self.intake = Intake(partial(DevicePipeline, hop_s=self.hop_s))
        self._unacknowledged = []

    def _pass_until(self, at_us: int) -> None:
        if not self.now_us:
            self.now_us = at_us
        while self.now_us + SECOND_US <= at_us:
            self.now_us += SECOND_US
            self.intake.tick(self.now_us)
            self.intake.vitals(self.now_us)
        self.now_us = max(self.now_us, at_us)


def truth(sessions: Iterable[Session], messages: Iterable[Message]) -> dict[int, NDArray[np.float32]]:
    """By session: every sample that was published, by index; NaN where none was."""
    made: dict[int, NDArray[np.float32]] = {}
    known = {session.number: session for session in sessions}
    for session in known.values():
        made[session.number] = np.full(session.first_sample + session.n_samples + LENGTH, np.nan, np.float32)
    for each in messages:
        made[each.session][each.first : each.end] = known[each.session].sample(each.first, each.end)
    return made
