"""When to commit what has gathered: together while the store works, with back-off while it fails."""

from dataclasses import dataclass, field

from ingest.backfill import Rework
from ingest.store.rows import ReceivedChunk, Refused
from ingest.vitals import Vitals
from ingest.window import Window

FULL_MESSAGES = 2_000  # commit at once; a transaction of 2,000 chunks of 1 kB takes about 50 ms
HELD_MESSAGES = 20_000  # most held while the store fails, and all the broker sends unacknowledged
HELD_BYTES = 64 << 20
RETRY_FIRST_S = 0.5
RETRY_MAX_S = 5.0


@dataclass(slots=True)
class Batch:
    """What the next commit will write."""

    chunks: list[ReceivedChunk] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    vitals: list[Vitals] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    rework: Rework = field(
        default_factory=Rework
    )  # windows to be cut again, and those of `windows` that were
    n_bytes: int = 0  # of payloads

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to write."""
        return not (self.chunks or self.windows or self.vitals or self.refused or self.rework)

    @property
    def n_kept(self) -> int:
        """Chunks, and samples of what was refused: all that a message itself leaves here."""
        return len(self.chunks) + len(self.refused)

    def put_back(self, older: "Batch") -> None:
        """Take back what could not be written, before what came since."""
        self.chunks[:0] = older.chunks
        self.windows[:0] = older.windows
        self.vitals[:0] = older.vitals
        self.refused[:0] = older.refused
        self.rework.late[:0] = older.rework.late
        self.rework.done[:0] = older.rework.done
        self.n_bytes += older.n_bytes


class CommitSchedule:
    """Decides when to commit. Times are any monotonic clock, seconds.

    The interval counts from the end of the commit before: SQLite's writers do not queue but ask now and then
    whether the store is free, so that commits without a pause on a slow disk would lock the others out.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due_s: float | None = None  # None while nothing waits
        self._is_writing = False
        self._retry_s = 0.0  # 0 while the store works

    @property
    def is_failing(self) -> bool:
        """True from a failed commit to the next good one."""
        return self._retry_s > 0.0

    def note_waiting(self, now_s: float) -> None:
        """Something waits to be written, since `now_s` at the latest."""
        if self._due_s is None and not self._is_writing:
            self._due_s = now_s + self._every_s

    def is_due(self, now_s: float, n_messages: int) -> bool:
        """True when a commit should be tried now."""
        if self._due_s is None:
            return False
        return now_s >= self._due_s or (n_messages >= FULL_MESSAGES and not self.is_failing)

    def wait_s(self, now_s: float, at_most_s: float) -> float:
        """How long the loop may wait for messages."""
        return at_most_s if self._due_s is None else min(at_most_s, max(0.0, self._due_s - now_s))

    def began(self) -> None:
        """Everything that waited is being written."""
        self._due_s, self._is_writing = None, True

    def succeeded(self) -> None:
        """The commit is on the disk."""
        self._retry_s, self._is_writing = 0.0, False

    def failed(self, now_s: float) -> None:
        """The commit failed; the next try comes after a back-off that doubles up to 5 s."""
        self._retry_s = min(2 * self._retry_s, RETRY_MAX_S) if self._retry_s else RETRY_FIRST_S
        self._due_s, self._is_writing = now_s + self._retry_s, False


def has_room(n_messages: int, n_bytes: int) -> bool:
    """False when no more may be held for a failing store; what comes then stays the broker's."""
    return n_messages < HELD_MESSAGES and n_bytes < HELD_BYTES
