"""What is kept of recordings -> the JSON that their pages show."""

from typing import Any

import msgspec

from dashboard.hub import Hub
from dashboard.past import Past
from inference.recordings import words
from inference.recordings.kept import SESSION, KeptRecording
from inference.records import verdicts_at
from ingest.topics import REPLAY_SITE

MAX_WINDOWS = 720  # told one by one: two hours


def list_answer(hub: Hub, known: str = "") -> dict[str, Any]:
    """Every recording in short, the newest first; null where the asker has that `revision` of them."""
    revision, found = hub.look(lambda monitor, _: (monitor.recordings.revision, monitor.recordings.all()))
    rows = None if known == revision else [row_of(kept) for kept in found]
    return {"revision": revision, "recordings": rows}


def row_of(kept: KeptRecording) -> dict[str, Any]:
    """What the list shows of one."""
    summary = kept.summary
    return {
        "id": kept.id,
        "file": summary.file,
        "start_us": kept.start_us if kept.is_start_known else None,
        "started": words.started(summary),
        "added_us": kept.added_us,
        "length": words.length(summary),
        "readable": words.readable(summary),
        "rate": words.rate(summary),
        "found": words.found(summary),
        "is_abnormal": summary.is_abnormal,
        "vendor": words.vendor(summary),
        "device": summary.device,
        "format": summary.format,
        "fs": summary.fs,
        "lead": summary.lead or (None if summary.lead_told == "UNKNOWN" else summary.lead_told),
        "notes": [
            {"about": note.about, "text": note.text, "is_guess": note.is_guess} for note in summary.notes
        ],
    }


def recording_answer(hub: Hub, past: Past, kept: KeptRecording) -> dict[str, Any]:
    """All of one; raises StoreError where the store cannot be read."""
    verdicts = past.ask(lambda engine: verdicts_at(engine, kept.device, SESSION, 0, kept.n_samples))
    replay = f"{REPLAY_SITE}/{kept.id}"
    explaining, is_playing = hub.look(
        lambda monitor, _: (monitor.recordings.explaining(kept.device), monitor.has_patient(replay))
    )
    summary: dict[str, Any] = msgspec.to_builtins(kept.summary)
    return row_of(kept) | {
        "who": kept.who,
        "from_us": kept.start_us,
        "n_samples": kept.n_samples,
        "length_s": kept.summary.length_s,
        "heart_rate_bpm": kept.summary.heart_rate_bpm,
        "verdict": {
            "session": SESSION,
            "first_sample": -1,
            "wall_time_us": kept.start_us,
            "decided_us": kept.added_us,
            "model": kept.summary.model,
            "findings": summary["findings"],
            "indeterminate": summary["indeterminate"] if not kept.summary.findings else None,
            "rhythm": summary["rhythm"],
            "lead": kept.summary.lead,
            "lead_inferred": kept.summary.lead not in (None, kept.summary.lead_told),
        },
        "facts": words.fact_rows(kept.summary),
        "remarks": words.note_lines(kept.summary),
        "narrative": words.plain(kept.summary),
        "windows": [msgspec.to_builtins(each) for each in verdicts[:MAX_WINDOWS]],
        "is_cut": len(verdicts) > MAX_WINDOWS,
        "is_stored": kept.device in past.extents([kept.device]),
        "explaining": [msgspec.to_builtins(each) for each in explaining],
        "replay": replay if is_playing else None,
    }
