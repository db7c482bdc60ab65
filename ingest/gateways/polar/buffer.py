"""Chunks that are not known to be safe at the broker, in a file: written first, sent then, forgotten last.

One SQLite file a strap. A process that is killed loses nothing of it; a machine that loses its power may
lose the newest second or so (`synchronous=NORMAL`: an SD card is not to be synced twice a second for days).
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Three days: ingest takes 104 h of signal at once from who was offline (ingest/limits.py), 90 MB here.
MAX_CHUNKS = 460_000
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS chunk (id INTEGER PRIMARY KEY, made_us INTEGER, payload BLOB)",
    "CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB)",
)


class StorageError(RuntimeError):
    """The file cannot be used; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One chunk of the buffer; ids rise without holes of their own."""

    id: int
    made_us: int  # Unix
    payload: bytes  # wire v1


class Buffer:
    """The chunks of one strap and the state of its clock, in one file that nobody else opens meanwhile."""

    def __init__(self, path: Path, max_chunks: int = MAX_CHUNKS) -> None:
        """Open or make the file; raises StorageError."""
        self.dropped = 0  # chunks given up because the buffer was full
        self._path = path
        self._max_chunks = max_chunks
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, timeout=0.5, isolation_level=None)
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
                self._file.execute(f"PRAGMA {pragma}")
            for statement in _SCHEMA:
                self._file.execute(statement)
            self._file.execute("BEGIN IMMEDIATE")  # takes the lock now, for as long as the file is open
            self._file.execute("COMMIT")
            found = self._file.execute("SELECT min(id), max(id) FROM chunk").fetchone()
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"cannot use {path} ({error}): end the other gateway of this device, or move the file away"
            ) from None
        self._first_id: int = found[0] or 1
        self.next_id: int = (found[1] or 0) + 1

    @property
    def n_chunks(self) -> int:
        """How many are held, at most: those forgotten out of turn are counted until their elders go."""
        return self.next_id - self._first_id

    def state(self) -> bytes | None:
        """What was last written with a chunk; None at first. Raises StorageError."""
        try:
            row = self._file.execute("SELECT body FROM state").fetchone()
        except sqlite3.Error as error:
            raise self._trouble(error) from None
        return None if row is None else bytes(row[0])

    def add(self, payloads: Sequence[bytes], made_us: int, state: bytes) -> list[Kept]:
        """Write chunks and state, both or none; too many: the oldest go. Raises StorageError."""
        kept = [Kept(self.next_id + k, made_us, payload) for k, payload in enumerate(payloads)]
        first_id = max(self._first_id, self.next_id + len(kept) - self._max_chunks)
        try:
            self._file.execute("BEGIN")
            self._file.executemany(
                "INSERT INTO chunk VALUES (?, ?, ?)", [(each.id, each.made_us, each.payload) for each in kept]
            )
            self._file.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", (state,))
            gone = self._file.execute("DELETE FROM chunk WHERE id < ?", (first_id,)).rowcount
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise self._trouble(error) from None
        self.dropped += gone
        self._first_id, self.next_id = first_id, self.next_id + len(kept)
        return kept

    def after(self, chunk_id: int, end_id: int, most: int) -> list[Kept]:
        """Up to `most` chunks with ids between the two, oldest first. Raises StorageError."""
        query = "SELECT id, made_us, payload FROM chunk WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
        try:
            return [Kept(*row) for row in self._file.execute(query, (chunk_id, end_id, most))]
        except sqlite3.Error as error:
            raise self._trouble(error) from None

    def made_since(self, made_us: int) -> int:
        """The id from which on all chunks were made at `made_us` or later. Raises StorageError."""
        query = "SELECT id FROM chunk WHERE made_us < ? ORDER BY id DESC LIMIT 1"
        try:
            row = self._file.execute(query, (made_us,)).fetchone()
        except sqlite3.Error as error:
            raise self._trouble(error) from None
        return self._first_id if row is None else int(row[0]) + 1

    def forget(self, ids: Sequence[int]) -> None:
        """These are safe. Raises StorageError."""
        if not ids:
            return
        try:
            self._file.execute("BEGIN")
            self._file.executemany("DELETE FROM chunk WHERE id = ?", [(each,) for each in ids])
            self._file.execute("COMMIT")
            oldest = self._file.execute("SELECT min(id) FROM chunk").fetchone()[0]
        except sqlite3.Error as error:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise self._trouble(error) from None
        self._first_id = self.next_id if oldest is None else oldest

    def close(self) -> None:
        """Let others open the file."""
        self._file.close()

    def _trouble(self, error: sqlite3.Error) -> StorageError:
        return StorageError(f"cannot use {self._path} ({error}): is the disk full or the file damaged?")
