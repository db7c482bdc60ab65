"""A judged recording -> what is kept of it: a description on MQTT, and historic chunks for ingest; and back.

The samples are kept by ingest like those of any device, the description is retained at the broker
(docs/wire.md), and everything that a page shows is read from these two. Names are not kept.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.recordings.summary import Summary
from ingest.chunk import Chunk, ChunkFlag, Lead
from ingest.recordings import Recording, RecordingError
from ingest.topics import RECORDING_SITE

SESSION = 0
CHUNK_S = 10.0
MAX_CHUNK = 32_768  # samples; wire v1 counts to 65,535
MAX_SAMPLES = 90_000_000  # a day at 1,000 Hz and more; 360 MB
MAX_CHUNKS = 100_000  # of a recording torn into pieces
# Where a file tells no moment: no time of anybody's, and the same each time that it is read.
NO_START = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
WORDS = re.compile(
    "ecg|ekg|electrocardiograms?|export|apple|health|samsung|polar|holter|rec|recording|samples?|data|demo|lead|"
    "test|monitor|csv|json|edf|bdf|hea|dat|txt|tsv|zip|i{1,3}|v[1-6]|"
    "norm|mi|sttc|cd|hyp|af|pvc|sve|s",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecording:
    """What is retained of a recording; its samples are the device's in session 0."""

    id: str
    summary: Summary  # its `file` without what could be a name
    n_samples: int
    start_us: int  # of sample 0 by the clock of its chunks
    is_start_known: bool  # with its time zone; else as written, or nobody knows
    added_us: int
    who: str  # who added it

    @property
    def device(self) -> str:
        """Under which its samples are stored."""
        return f"{RECORDING_SITE}/{self.id}"


_CLIPPED, _MISSING = 1, 2
_decoder = msgspec.json.Decoder(KeptRecording)


def decode_kept(payload: bytes) -> KeptRecording:
    """The description; raises msgspec.DecodeError."""
    return _decoder.decode(payload)


def kept_of(recording: Recording, summary: Summary, *, added_us: int, who: str) -> KeptRecording:
    """The description; raises RecordingError where it is longer, or torn into more pieces, than is kept."""
    n_edges = int(np.count_nonzero(np.diff(_states(recording))))
    if n_edges > MAX_CHUNKS:
        raise RecordingError(f"it has {n_edges} gaps, want at most {MAX_CHUNKS}", file=recording.file)
    if recording.n_samples > MAX_SAMPLES:
        raise RecordingError(
            f"{recording.n_samples} samples, of which {MAX_SAMPLES} are kept here: cut the file, or use "
            "`wristlead classify`",
            file=recording.file,
        )
    begun = recording.start or (recording.local_start or NO_START).replace(tzinfo=dt.UTC)
    return KeptRecording(
        id=id_of(recording),
        summary=replace(summary, file=nameless(recording.file)),
        n_samples=recording.n_samples,
        start_us=max(0, round(begun.timestamp() * 1e6)),
        is_start_known=recording.start is not None,
        added_us=added_us,
        who=who,
    )


def id_of(recording: Recording) -> str:
    """The same for the same samples at the same time, read as the same lead."""
    digest = hashlib.sha256(f"{recording.identity} {recording.lead.name}".encode())
    return digest.hexdigest()[:16]


def chunks_of(recording: Recording, kept: KeptRecording) -> Iterator[Chunk]:
    """All its samples as historic chunks of 10 s at most; missing ones are in none."""
    fs = recording.fs
    longest = max(1, min(MAX_CHUNK, round(CHUNK_S * fs)))
    state = _states(recording)
    edges = np.flatnonzero(np.diff(state)) + 1
    seq = 0
    for low, high in zip([0, *edges.tolist()], [*edges.tolist(), recording.n_samples], strict=True):
        if state[low] == _MISSING:
            continue
        flags = ChunkFlag.HISTORIC | (ChunkFlag.CLIPPED if state[low] else ChunkFlag(0))
        for first in range(low, high, longest):
            yield Chunk(
                device=kept.device,
                session=SESSION,
                seq=seq,
                first_sample=first,
                wall_time_us=kept.start_us + round(first * 1e6 / fs),
                device_ns=0,
                fs=fs,
                leads=(recording.lead,),
                samples_mv=recording.samples_mv[first : min(high, first + longest), None].copy(),
                flags=flags,
            )
            seq += 1


def _states(recording: Recording) -> NDArray[np.int8]:
    """(n,): 0, clipped or missing."""
    states = np.zeros(recording.n_samples, np.int8)
    if len(recording.clipped):
        states[recording.clipped] = _CLIPPED
    states[np.isnan(recording.samples_mv)] = _MISSING
    return states


def recording_of(kept: KeptRecording, chunks: Iterable[Chunk]) -> Recording:
    """The recording as it was read, from its description and its stored chunks."""
    summary = kept.summary
    samples_mv: NDArray[np.float32] = np.full(kept.n_samples, np.nan, np.float32)
    clipped = np.zeros(kept.n_samples, bool)
    for chunk in chunks:
        place = slice(chunk.first_sample, min(chunk.end_sample, kept.n_samples))
        samples_mv[place] = chunk.samples_mv[: place.stop - place.start, 0]
        clipped[place] = ChunkFlag.CLIPPED in chunk.flags
    return Recording(
        samples_mv=samples_mv,
        fs=summary.fs,
        lead=Lead[summary.lead_told],
        format=summary.format,
        file=summary.file,
        start=None if summary.start is None else dt.datetime.fromisoformat(summary.start),
        local_start=None if summary.local_start is None else dt.datetime.fromisoformat(summary.local_start),
        device=summary.device,
        vendor_verdict=summary.vendor_verdict,
        vendor_rate_bpm=summary.vendor_rate_bpm,
        other_leads=summary.other_leads,
        clipped=clipped if clipped.any() else np.zeros(0, bool),
        notes=summary.notes,
    )


def nameless(file: str) -> str:
    """A file's name without what could be a person's: numbers and the words of such files stay."""
    last = PurePosixPath(file.rpartition(": ")[2] or file)
    words = [
        part for part in re.split(r"[^A-Za-z0-9]+", last.stem) if part.isdigit() or WORDS.fullmatch(part)
    ]
    ending = last.suffix.lower() if WORDS.fullmatch(last.suffix[1:]) else ""
    return f"{'_'.join(words)[:60] or 'recording'}{ending}"
