"""What the review page lets people take away: the view as PNG or PDF, and the data as WFDB, EDF+ or CSV."""

import datetime as dt
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path

import numpy as np

from dashboard.data_routes import AskedWronglyError, span_of, whole_of
from dashboard.placing import SECOND_US
from dashboard.review_source import ReviewSource
from dashboard.texts import RESEARCH_USE
from inference.report import paper_pdf as pdf
from inference.report import pdf_lines
from inference.report.paper_png import paper_png
from inference.report.sheet import Sheet, Trace
from ingest.export.export import Job, Span, export
from ingest.export.extra import FORMATS, REMEDY, missing_package
from ingest.export.part import ExportError
from ingest.export.reader import Reader

MINUTE_US = 60 * SECOND_US
LONGEST_US = {"png": MINUTE_US, "pdf": 10 * MINUTE_US} | dict.fromkeys(FORMATS, 24 * 60 * MINUTE_US)
CONTENT_TYPES = {"png": "image/png", "pdf": "application/pdf"} | dict.fromkeys(FORMATS, "application/zip")
COPY_BYTES = 1 << 16
MAX_ZONE_MIN = 16 * 60


def picture_file(source: ReviewSource, kind: str, device: str, name: str, asked: Mapping[str, str]) -> bytes:
    """A PNG or PDF of the span that was asked for; `name` stands on it.

    Raises AskedWronglyError in words for a person.
    """
    from_us, to_us = export_span(kind, asked)
    if not pdf_lines.is_installed():
        raise AskedWronglyError(pdf.REMEDY)
    sheet = _sheet(source, device, name, (from_us, to_us), asked)
    if kind == "png":
        return paper_png(sheet)
    paper = asked.get("paper", pdf.PAPERS[0])
    if paper not in pdf.PAPERS:
        raise AskedWronglyError(f"paper is {paper[:16]!r}, want {' or '.join(pdf.PAPERS)}")
    return pdf.paper_pdf(sheet, paper)


def data_file(store_address: str, kind: str, device: str, asked: Mapping[str, str]) -> Iterator[bytes]:
    """A ZIP of the files of an export, piece by piece; what it needs on the disk goes with it.

    Messages that arrived in the span go into it, whole. Raises AskedWronglyError and StoreError before the
    first piece.
    """
    from_us, to_us = export_span(kind, asked)
    package = missing_package(kind)
    if package is not None:
        raise AskedWronglyError(f"{kind} needs the package {package}: {REMEDY}")
    folder = Path(tempfile.mkdtemp(prefix="wristlead-review-"))
    try:
        with closing(Reader(store_address)) as reader:
            job = Job(reader, device, Span(from_us, to_us), kind, rescale=False, say=lambda _: None)
            made = export(job, folder, force=False)
        archive = folder / "export.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(made.iterdir()):
                file.write(path, f"{made.name}/{path.name}")
            shutil.rmtree(made)
    except ExportError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise AskedWronglyError(str(error)) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    pieces = _pieces(archive, folder)
    return chain([next(pieces)], pieces)  # begun, so that it clears up too when nobody reads it


def file_name(kind: str, device: str, asked: Mapping[str, str]) -> str:
    """SITE.DEVICE_20261125T101500Z_60s.pdf."""
    from_us, to_us = export_span(kind, asked)
    begun = dt.datetime.fromtimestamp(from_us / SECOND_US, tz=dt.UTC)
    ending = f"_{kind}.zip" if kind in FORMATS else f".{kind}"
    seconds = round((to_us - from_us) / SECOND_US)
    return f"{device.replace('/', '.')}_{begun:%Y%m%dT%H%M%SZ}_{seconds}s{ending}"


def export_span(kind: str, asked: Mapping[str, str]) -> tuple[int, int]:
    """The span that was asked for; raises AskedWronglyError when it is too long for the kind."""
    if kind not in LONGEST_US:
        raise AskedWronglyError(f"{kind[:16]!r} cannot be made: want {', '.join(LONGEST_US)}")
    try:
        return span_of(asked, LONGEST_US[kind])
    except AskedWronglyError as error:
        most = f"{LONGEST_US[kind] // MINUTE_US} min"
        raise AskedWronglyError(f"a {kind.upper()} holds at most {most}: zoom in first ({error})") from None


def _pieces(archive: Path, folder: Path) -> Iterator[bytes]:
    try:
        with archive.open("rb") as file:
            while piece := file.read(COPY_BYTES):
                yield piece
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sheet(
    source: ReviewSource, device: str, name: str, span_us: tuple[int, int], asked: Mapping[str, str]
) -> Sheet:
    from_us, to_us = span_us
    is_filtered = whole_of(asked, "filter", 0, 1, 1) == 1
    zone = dt.timezone(dt.timedelta(minutes=whole_of(asked, "zone_min", -MAX_ZONE_MIN, MAX_ZONE_MIN, 0)))
    traces, leads = list[Trace](), list[str]()
    for run in source.runs(device, from_us, to_us, is_filtered=is_filtered):
        low, high = (run.placement.samples_at(np.array(span_us)) - run.first_sample).clip(
            0, len(run.samples_mv)
        )
        if np.isnan(run.samples_mv[low:high]).all():
            continue
        edges = run.placement.times_us(run.first_sample + np.array([low, high]))
        step_s = float(edges[1] - edges[0]) / SECOND_US / float(high - low)
        samples_mv = run.samples_mv[low:high] - (0 if is_filtered else np.nanmedian(run.samples_mv[low:high]))
        traces.append(Trace(float(edges[0] - from_us) / SECOND_US, step_s, samples_mv))
        leads.append(run.placement.lead)
    if not traces:
        raise AskedWronglyError(f"no samples of {device} are stored in that span")
    models = sorted({each.verdict.model for each in source.verdicts(device, from_us, to_us)})
    whose = "" if name == device else f"{device}   "
    begun, ended = (dt.datetime.fromtimestamp(us / SECOND_US, tz=zone) for us in span_us)
    head = [
        name,
        f"{whose}{begun:%Y-%m-%d %H:%M:%S} to {ended:%H:%M:%S} ({begun:%Z})",
        f"Lead {', '.join(dict.fromkeys(leads))}   25 mm/s   10 mm/mV   "
        + ("0.5-40 Hz monitor filter, which bends ST segments" if is_filtered else "unfiltered")
        + (f"   model {', '.join(models)}" if models else ""),
    ]
    duration_s = (to_us - from_us) / SECOND_US
    n_rows = int(duration_s // pdf.ROW_S) + 1
    words = [f"{begun + dt.timedelta(seconds=k * pdf.ROW_S):%H:%M:%S}" for k in range(n_rows)]
    return Sheet(duration_s, traces, head, RESEARCH_USE, words)
