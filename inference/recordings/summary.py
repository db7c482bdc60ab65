"""A judged recording -> what a table, a script or a report says of it, without its samples."""

from dataclasses import dataclass

from inference.recordings.judged import Judged
from inference.verdict import Finding, Indeterminate, Rhythm, RhythmFinding
from ingest.recordings import Format, Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The fields of `wristlead classify --json`; None is unknown."""

    file: str
    format: Format
    identity: str  # the same for the same recording
    same_as: str | None = None  # the file in which it came before
    start: str | None  # ISO 8601 with its zone
    local_start: str | None  # where the file tells no zone
    length_s: float
    fs: float
    lead_told: str
    lead: str | None  # as which it was read
    device: str | None
    readable_share: float  # of its seconds, 0..1
    windows: int  # of 10 s, one each 5 s
    windows_voting: int
    reasons: dict[str, int]  # why the others did not, in windows
    heart_rate_bpm: float | None
    lowest_rate_bpm: float | None
    highest_rate_bpm: float | None
    beats: int
    findings: tuple[Finding, ...]
    indeterminate: Indeterminate | None
    rhythm: tuple[RhythmFinding, ...]
    main_rhythm: Rhythm | None
    is_abnormal: bool
    vendor_verdict: str | None
    vendor_rate_bpm: float | None
    notes: tuple[Note, ...]
    other_leads: tuple[str, ...]
    model: str


def summary_of(judged: Judged) -> Summary:
    """What is said of a recording."""
    recording, rates = judged.recording, judged.rate_range_bpm
    lowest, highest = rates or (None, None)
    return Summary(
        file=recording.file,
        format=recording.format,
        identity=recording.identity,
        start=None if recording.start is None else recording.start.isoformat(),
        local_start=None if recording.local_start is None else recording.local_start.isoformat(),
        length_s=round(recording.length_s, 3),
        fs=recording.fs,
        lead_told=recording.lead.name,
        lead=judged.lead,
        device=recording.device,
        readable_share=round(judged.readable_share, 3),
        windows=len(judged.windows),
        windows_voting=judged.n_voting,
        reasons={str(reason): n for reason, n in judged.reasons.most_common()},
        heart_rate_bpm=_rounded(judged.heart_rate_bpm),
        lowest_rate_bpm=_rounded(lowest),
        highest_rate_bpm=_rounded(highest),
        beats=len(judged.r_peaks),
        findings=judged.findings,
        indeterminate=judged.indeterminate,
        rhythm=judged.rhythm,
        main_rhythm=judged.main_rhythm,
        is_abnormal=judged.is_abnormal,
        vendor_verdict=recording.vendor_verdict,
        vendor_rate_bpm=recording.vendor_rate_bpm,
        notes=recording.notes,
        other_leads=recording.other_leads,
        model=judged.model,
    )


def _rounded(rate_bpm: float | None) -> float | None:
    return None if rate_bpm is None else round(rate_bpm, 1)
