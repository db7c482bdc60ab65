"""A report -> one HTML file that needs nothing else; its strips are SVG in millimetres, true at 100 %."""

from collections.abc import Iterator
from html import escape

import numpy as np
from numpy.typing import NDArray

from inference.recordings import words
from inference.recordings.report import Part, Report
from inference.recordings.strip import BAND_HZ, MM_PER_MV, MM_PER_S, Row, rows_of

ROW_S = 10.0  # 250 mm: across A4 and Letter
UNITS_PER_MM = 100
_STYLE = """
:root { color-scheme: light; font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; }
body { margin: 0 auto; padding: 24px; max-width: 1040px; background: #fff; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; overflow-wrap: anywhere; }
section { margin-top: 2rem; border-top: 1px solid #bbb; padding-top: 1rem; }
.disclaimer { border: 1px solid #888; padding: .6rem .8rem; margin: 1rem 0; }
.found { font-size: 1.1rem; margin: .2rem 0 1rem; }
.tables { display: flex; flex-wrap: wrap; gap: 1rem 3rem; align-items: flex-start; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top; }
th { font-weight: 500; color: #555; }
td.number { font-variant-numeric: tabular-nums; text-align: right; }
.bar { display: block; width: 8rem; height: .55rem; margin-top: .4rem; background: #e6e6e6; }
.bar i { display: block; height: 100%; background: #444; }
.strip, .wide { overflow-x: auto; margin: .4rem 0; }
.tables { margin-bottom: .8rem; overflow-x: auto; }
.strip svg { display: block; }
.small { color: #555; font-size: .87rem; }
ul { padding-left: 1.2rem; }
@page { size: landscape; margin: 10mm; }
@media print {
  :root { font-size: 11px; }
  body { padding: 0; max-width: none; }
  .bar, .bar i { print-color-adjust: exact; }
  section { break-before: page; border: 0; margin: 0; }
  .strip, tr { break-inside: avoid; }
}
"""
_PAPER = """<svg width="0" height="0" style="position: absolute" aria-hidden="true"><defs>
<pattern id="mm" width="100" height="100" patternUnits="userSpaceOnUse">
<path d="M100 0H0V100" fill="none" stroke="#f0c4c4" stroke-width="6"/></pattern>
<pattern id="paper" width="500" height="500" patternUnits="userSpaceOnUse">
<rect width="500" height="500" fill="#fffafa"/><rect width="500" height="500" fill="url(#mm)"/>
<path d="M500 0H0V500" fill="none" stroke="#e09a9a" stroke-width="14"/></pattern>
</defs></svg>"""


def html_report(report: Report) -> str:
    """The document."""
    return "".join(_document(report))


def _document(report: Report) -> Iterator[str]:
    title = escape(report.title)
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>ECG report: {title}</title><style>{_STYLE}</style></head><body>{_PAPER}"
    yield f"<h1>ECG report: {title}</h1>"
    yield f'<p class="small">Made by Wristlead on {report.made:%Y-%m-%d %H:%M %Z}.</p>'
    yield f'<p class="disclaimer">{escape(words.DISCLAIMER)}</p>'
    if len(report.parts) > 1:
        yield from _overview(report)
    for number, part in enumerate(report.parts, 1):
        yield from _section(part, number)
    yield from _left_out(report)
    yield "</body></html>\n"


def _overview(report: Report) -> Iterator[str]:
    heads = ("Recording", "Heart rate", "Readable", "Found", "The device says")
    yield (
        '<div class="wide"><table><tr>' + "".join(f'<th scope="col">{head}</th>' for head in heads) + "</tr>"
    )
    for number, part in enumerate(report.parts, 1):
        one = part.summary
        cells = [words.rate(one), words.readable(one), words.found(one), words.vendor(one)]
        yield f'<tr><td><a href="#r{number}">{escape(words.name(one.file))}</a></td>'
        yield "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
    yield "</table></div>"


def _section(part: Part, number: int) -> Iterator[str]:
    one = part.summary
    yield f'<section id="r{number}"><h2>{escape(one.file)}</h2>'
    yield f'<p class="found">{escape(words.found(one))}</p><div class="tables"><table>'
    for what, value in words.fact_rows(one)[:-1]:
        yield f'<tr><th scope="row">{escape(what)}</th><td>{escape(value)}</td></tr>'
    yield "</table>"
    if one.findings or one.rhythm:
        yield "<table>"
        for name, text, share, presence in words.finding_rows(one):
            yield f'<tr><th scope="row">{escape(name)}</th><td class="number">{text}</td>'
            bar = f'<span class="bar"><i style="width:{share:.0%}"></i></span>'
            yield f"<td>{bar}</td><td>{presence}</td></tr>"
        yield "</table>"
    yield "</div>"
    if one.findings:
        yield f'<p class="small">{escape(words.PRESENCES)}</p>'
    for heading, text in words.plain(one):
        yield f"<p><strong>{escape(heading)}</strong> {escape(text)}</p>"
    yield f'<p class="small">{escape(scale_line(part))}</p>'
    for row in rows_of(part.strip, ROW_S):
        yield _drawn(row)
    notes = words.note_lines(one)
    if notes:
        yield '<ul class="small">' + "".join(f"<li>{escape(line)}</li>" for line in notes) + "</ul>"
    yield "</section>"


def scale_line(part: Part) -> str:
    """What stands above a strip."""
    shown = "" if part.strip.end_s - part.strip.first_s >= part.summary.length_s - 1 else _which(part)
    band = f"{BAND_HZ[0]:g}-{BAND_HZ[1]:g} Hz, which bends ST"
    return f"{MM_PER_S:g} mm/s, {MM_PER_MV:g} mm/mV, {band}. Ticks are R peaks as found.{shown}"


def _which(part: Part) -> str:
    return f" Shown are the seconds {part.strip.first_s:.0f} to {part.strip.end_s:.0f} of the recording."


def _drawn(row: Row) -> str:
    """A row of paper as SVG."""
    width, height = round(row.width_mm * UNITS_PER_MM), round(row.height_mm * UNITS_PER_MM)
    lines = "".join(_path(line) for line in row.lines_mm)
    ticks = "".join(f"M{round(at * UNITS_PER_MM)} {height}v-150" for at in row.r_peaks_mm)
    label = f"ECG from second {row.first_s:.0f}"
    return (
        f'<div class="strip"><svg width="{row.width_mm:g}mm" height="{row.height_mm:g}mm" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        f'<rect width="{width}" height="{height}" fill="url(#paper)"/>'
        f'<path d="{ticks}" stroke="#555" stroke-width="25"/>'
        f'<path d="{lines}" fill="none" stroke="#111" stroke-width="25" stroke-linejoin="round"/>'
        f'<text x="60" y="320" font-size="280" fill="#555">{row.first_s:.0f} s</text></svg></div>'
    )


def _path(line_mm: NDArray[np.float64]) -> str:
    """Whole hundredths of a millimetre, each point relative to the one before."""
    points = np.rint(line_mm * UNITS_PER_MM).astype(np.int64)
    steps = np.diff(points, axis=0)
    return f"M{points[0, 0]} {points[0, 1]}l" + " ".join(f"{x} {y}" for x, y in steps.tolist())


def _left_out(report: Report) -> Iterator[str]:
    if report.repeated:
        yield "<section><h2>The same recordings again</h2><ul>"
        for one in report.repeated:
            yield f"<li>{escape(one.file)}: the same as {escape(str(one.same_as))}</li>"
        yield "</ul></section>"
    if report.refused:
        yield "<section><h2>Could not be read</h2><ul>"
        yield "".join(f"<li>{escape(reason)}</li>" for reason in report.refused)
        yield "</ul></section>"
