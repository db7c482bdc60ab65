"""`wristlead classify`: files -> a table, JSON or a report, and an exit code that a script can use."""

import datetime as dt
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from inference.classifier import ClassifierError
from inference.recordings import pdf_report, words
from inference.recordings.html_report import html_report
from inference.recordings.many import MOST_AT_ONCE, Outcome, WorkerDiedError, classify_files, default_jobs
from inference.recordings.report import Report
from inference.recordings.summary import Summary
from inference.report import pdf_lines
from ingest.encoding import WireError
from ingest.mappers.lead import lead_of
from ingest.recordings import About, Format, Hints, Note, RecordingError
from ingest.recordings.draft import nv_of
from ingest.wire import FS_RANGE_HZ

EXIT_JUDGED = 0  # every recording got findings
EXIT_CANNOT_TELL = 1  # every file was read; at least one recording got none
PDF = ".pdf"
FEW = 20  # files without a word on progress
EXIT_INTERRUPTED = 130  # by Ctrl-C; nothing was written
EXIT_DATA = 65  # at least one file was refused (EX_DATAERR)
CORRECTED_BY = {
    About.RATE: "--fs",
    About.UNIT: "--unit",
    About.LEAD: "--lead",
    About.COLUMN: "--column",
    About.ZONE: "--zone",
}
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person wrote after `wristlead classify`."""

    files: Sequence[Path]
    as_json: bool = False
    report: Path | None = None
    paper: str = "a4"  # of a PDF
    format_name: str | None = None
    lead: str | None = None
    fs: float | None = None
    unit: str | None = None
    column: str | None = None
    zone: str | None = None
    jobs: int | None = None


def run_classify(options: Options) -> int:
    """Judge all files, print, write; the exit code. Raises SystemExit with a sentence for wrong options."""
    hints = hints_of(options)
    _check_report(options)
    jobs = default_jobs() if options.jobs is None else options.jobs
    if jobs < 1:
        raise SystemExit(f"--jobs is {jobs}, want at least 1")
    with_strips = options.report is not None
    try:
        found = classify_files(options.files, hints, jobs, with_strips=with_strips, progress=_progress)
        outcomes = list(without_repeats(found))
    except (ClassifierError, WorkerDiedError) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if options.report is not None:
        _write_report(options.report, options.paper, outcomes)
    try:
        _print(outcomes, as_json=options.as_json)
    except BrokenPipeError:  # such as `| head`: who read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exit_code(outcomes)


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """65 where a file was refused, else 1 where a recording got no findings, else 0."""
    outcomes = list(outcomes)
    if any(outcome.refused is not None for outcome in outcomes):
        return EXIT_DATA
    is_told = all(outcome.summary is None or outcome.summary.indeterminate is None for outcome in outcomes)
    return EXIT_JUDGED if is_told else EXIT_CANNOT_TELL


def hints_of(options: Options) -> Hints:
    """What the options say of the files; raises SystemExit with a sentence."""
    try:
        lead = None if options.lead is None else lead_of(options.lead)
        if options.unit is not None:
            nv_of(options.unit)
    except (WireError, RecordingError) as error:
        raise SystemExit(str(error)) from None
    if options.fs is not None and not FS_RANGE_HZ[0] <= options.fs <= FS_RANGE_HZ[1]:
        raise SystemExit(f"--fs is {options.fs:g} Hz, want {FS_RANGE_HZ[0]:g} to {FS_RANGE_HZ[1]:g}")
    return Hints(
        format=None if options.format_name is None else Format(options.format_name),
        lead=lead,
        fs=options.fs,
        unit=options.unit,
        column=options.column,
        zone=None if options.zone is None else zone_of(options.zone),
    )


def zone_of(text: str) -> dt.tzinfo:
    """`Europe/Berlin`, `UTC` or `+02:00`; raises SystemExit with a sentence."""
    match = _OFFSET.fullmatch(text)
    if match is not None:
        ahead = dt.timedelta(hours=int(match[2]), minutes=int(match[3]))
        if ahead < dt.timedelta(hours=24):
            return dt.timezone(-ahead if match[1] == "-" else ahead)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SystemExit(f"--zone is {text!r}, want such as Europe/Berlin or +02:00") from None


def without_repeats(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Recordings that came before, in another file, say so."""
    seen: dict[str, str] = {}
    for outcome in outcomes:
        summary = outcome.summary
        if summary is not None and summary.identity in seen:
            yield replace(outcome, summary=replace(summary, same_as=seen[summary.identity]), strip=None)
            continue
        if summary is not None:
            seen[summary.identity] = summary.file
        yield outcome


def table_lines(summaries: Sequence[Summary]) -> Iterator[str]:
    """A header and a line for each recording, with its guesses below."""
    rows = [("RECORDING", "LENGTH", "READABLE", "HEART RATE", "FOUND", "THE DEVICE SAYS")]
    for one in summaries:
        told = f"the same as {words.name(str(one.same_as))}" if one.same_as else words.found(one)
        cells = (words.length(one), words.readable(one), words.rate(one), told, words.vendor(one))
        rows.append((words.name(one.file), *cells))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row, summary in zip(rows, [None, *summaries], strict=True):
        aligned = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*aligned, row[-1]]).rstrip()
        if summary is not None and summary.same_as is None:
            yield from (f"    {_noted(note)}" for note in summary.notes)


def _noted(note: Note) -> str:
    """With the option that says it better."""
    option = f" ({CORRECTED_BY[note.about]})" if note.about in CORRECTED_BY else ""
    return f"{'guess' if note.is_guess else 'note'}: {note.text}{option}"


def _print(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    summaries = [outcome.summary for outcome in outcomes if outcome.summary is not None]
    refused = [outcome.refused for outcome in outcomes if outcome.refused is not None]
    if as_json:
        told = [msgspec.to_builtins(each) | {"plain_words": dict(words.plain(each))} for each in summaries]
        document = {"recordings": told, "refused": refused}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")
    elif summaries:
        sys.stdout.write("\n".join(table_lines(summaries)) + f"\n\n{words.DISCLAIMER}\n")
    sys.stdout.flush()
    for reason in refused:
        sys.stderr.write(f"refused: {reason}\n")


def _progress(done: int, of: int) -> None:
    """A line that counts, in a terminal; else a line for each tenth of many."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done} of {of} files{'' if done < of else chr(10)}")
        sys.stderr.flush()
    elif of > FEW and done * 10 // of > max(0, done - MOST_AT_ONCE) * 10 // of:
        sys.stderr.write(f"{done} of {of} files\n")


def _check_report(options: Options) -> None:
    """Refuse what cannot be written before an hour of work."""
    path = options.report
    if path is None:
        return
    if path.suffix.lower() == PDF and not pdf_lines.is_installed():
        raise SystemExit(pdf_report.REMEDY)
    if path.suffix.lower() not in (".html", ".htm", PDF):
        raise SystemExit(f"--report is {path.name!r}, want a name that ends in .html or .pdf")
    if not path.parent.is_dir():
        raise SystemExit(f"--report: there is no folder {path.parent}")


def _write_report(path: Path, paper: str, outcomes: Sequence[Outcome]) -> None:
    report = Report(
        made=dt.datetime.now(dt.UTC),
        parts=[part for outcome in outcomes if (part := outcome.part) is not None],
        refused=[outcome.refused for outcome in outcomes if outcome.refused is not None],
        repeated=[one.summary for one in outcomes if one.summary is not None and one.summary.same_as],
    )
    is_pdf = path.suffix.lower() == PDF
    content = pdf_report.pdf_report(report, paper) if is_pdf else html_report(report).encode()
    try:
        path.write_bytes(content)
    except OSError as error:
        raise SystemExit(f"cannot write {path}: {error.strerror or error}") from None
    sys.stderr.write(f"report: {path}\n")
