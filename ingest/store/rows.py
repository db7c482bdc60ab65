"""Records <-> rows of the store."""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.quality import SignalState
from ingest.vitals import Vitals
from ingest.window import Window
from ingest.wire import decode

MAX_REASON = 1000  # characters of a sentence for a person
MAX_REFUSED_BYTES = 4096


class ReceivedChunk(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A chunk with the message it came in."""

    chunk: Chunk
    payload: bytes  # as it came: the record of truth
    received_us: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A payload that could not be understood, and why."""

    device: str  # "site/device", or the topic's ids as they came
    received_us: int
    reason: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class RefusedCount:
    """How many refused payloads of a device are kept."""

    device: str
    n: int
    oldest_us: int  # when the oldest of them came
    newest_us: int


def window_row(window: Window) -> dict[str, Any]:
    """A window as a row of the window table; its samples are those of the stored chunks."""
    return {
        "device": window.device,
        "session": window.session,
        "first_sample": window.first_sample,
        "n_samples": len(window.samples_mv),
        "wall_time_us": window.wall_time_us,
        "fs": window.fs,
        "lead": int(window.lead),
        "coverage": window.coverage,
        "lead_off": window.lead_off,
        "clipped": window.clipped,
        "historic": window.historic,
        "closed_us": window.closed_us,
    }


def refused_row(refused: Refused) -> dict[str, Any]:
    """A refused payload as a row, cut to its first bytes."""
    return {
        "device": refused.device,
        "received_us": refused.received_us,
        "reason": as_text(refused.reason)[:MAX_REASON],
        "payload": refused.payload[:MAX_REFUSED_BYTES],
    }


def kept_vitals(
    device: str,
    kept: tuple[int, int, int, float | None, str],
    rhythm: tuple[float | None, float | None, int | None, bool | None] = (None, None, None, None),
) -> Vitals:
    """Vitals from (session, at_us, last_sample, heart_rate_bpm, signal); the rest is left unset.

    `rhythm` is (rmssd_ms, sdnn_ms, ectopic_per_min, irregular), which earlier versions did not store.
    """
    session, at_us, last_sample, heart_rate_bpm, signal = kept
    rmssd_ms, sdnn_ms, ectopic_per_min, irregular = rhythm
    return Vitals(
        device=device,
        session=session,
        at_us=at_us,
        last_sample=last_sample,
        heart_rate_bpm=heart_rate_bpm,
        since_beat_s=None,
        signal=SignalState(signal),
        rmssd_ms=rmssd_ms,
        sdnn_ms=sdnn_ms,
        ectopic_per_min=ectopic_per_min,
        irregular=irregular,
    )


def as_text(text: str) -> str:
    """The text as every database takes it: PostgreSQL knows no zero, UTF-8 no lone surrogate."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def as_chunk(payload: bytes, device: str, *, historic: bool) -> Chunk:
    """A stored message back as its chunk; `historic` says that it came by the backfill topic."""
    chunk = decode(payload, device)
    return replace(chunk, flags=chunk.flags | ChunkFlag.HISTORIC) if historic else chunk


def place_samples(chunk: Chunk, lead: Lead | None, first_sample: int, samples: NDArray[np.float32]) -> None:
    """Write the chunk's lead into `samples`, which begins at `first_sample`."""
    if lead is not None and lead not in chunk.leads:
        return
    column = chunk.samples_mv[:, 0 if lead is None else chunk.leads.index(lead)]
    start = max(chunk.first_sample, first_sample)
    end = min(chunk.end_sample, first_sample + len(samples))
    samples[start - first_sample : end - first_sample] = column[
        start - chunk.first_sample : end - chunk.first_sample
    ]
