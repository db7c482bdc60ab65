"""A report -> PDF pages, A4 or Letter, of which 1 mm is 1 mm (extra `report`: reportlab)."""

from importlib import import_module
from io import BytesIO
from typing import Any

from inference.recordings import words
from inference.recordings.html_report import ROW_S, scale_line
from inference.recordings.report import Part, Report
from inference.recordings.strip import Row, rows_of
from inference.report.pdf_lines import OTHER_SCRIPTS, begin_trace, draw_grid, draw_polyline, font_of

REMEDY = (
    "a PDF needs the package reportlab: pip install 'wristlead[report]' brings it; or name the report .html"
)
PAPERS = ("a4", "letter")
LEFT_MM, TOP_MM, BOTTOM_MM = 14.0, 10.0, 11.0
LINE_MM, GAP_MM = 4.0, 1.0
TEXT_PT = 8.5
RIGHT_MM, BESIDE_MM = 150.0, 42.0
LEFT_FACTS = 9  # the others stand below the findings
BAR_MM = 30.0


def pdf_report(report: Report, paper: str = "a4") -> bytes:
    """The document; landscape, so that 10 s fit a line."""
    pages = _Pages(report, paper)
    pages.heading(f"ECG report: {report.title}")
    pages.lines([words.DISCLAIMER])
    is_alone = len(report.parts) == 1
    if not is_alone:
        pages.lines(["", *(_overview(part) for part in report.parts)])
    for part in report.parts:
        if not is_alone:
            pages.next_page()
            pages.heading(part.summary.file)
        _section(pages, part)
    for title, texts in (
        ("The same recordings again", [f"{one.file}: the same as {one.same_as}" for one in report.repeated]),
        ("Could not be read", list(report.refused)),
    ):
        if texts:
            pages.heading(title)
            pages.lines(texts)
    return pages.close()


def _overview(part: Part) -> str:
    one = part.summary
    told = f"{words.rate(one)}; {words.found(one)}; the device says: {words.vendor(one)}"
    return f"{words.name(one.file)}: {told}"


def _section(pages: "_Pages", part: Part) -> None:
    one = part.summary
    pages.heading(words.found(one))
    facts, top = words.fact_rows(one)[:-1], pages.at_mm
    for what, value in facts[:LEFT_FACTS]:
        pages.fact(LEFT_MM, what, value)
    after, pages.at_mm = pages.at_mm, top
    for name, text, share, presence in words.finding_rows(one):
        pages.finding(name, text, share, presence)
    for what, value in facts[LEFT_FACTS:]:
        pages.fact(RIGHT_MM, what, value)
    pages.at_mm = max(after, pages.at_mm) + LINE_MM / 2
    pages.lines([words.PRESENCES] if one.findings else [])
    pages.lines([scale_line(part)])
    for row in rows_of(part.strip, ROW_S):
        pages.strip(row)
    pages.lines(words.note_lines(one))
    pages.lines([f"{heading}: {text}" for heading, text in words.plain(one)])


class _Pages:
    """A cursor that goes down the page; lengths are millimetres from the top left."""

    def __init__(self, report: Report, paper: str) -> None:
        pagesizes = import_module("reportlab.lib.pagesizes")  # an optional extra, loaded where it is used
        pdfmetrics = import_module("reportlab.pdfbase.pdfmetrics")
        cidfonts = import_module("reportlab.pdfbase.cidfonts")
        canvas = import_module("reportlab.pdfgen.canvas")
        mm = import_module("reportlab.lib.units").mm
        pdfmetrics.registerFont(cidfonts.UnicodeCIDFont(OTHER_SCRIPTS))
        self._mm: float = mm
        size = pagesizes.landscape(pagesizes.LETTER if paper == "letter" else pagesizes.A4)
        self._width_mm, self._height_mm = size[0] / mm, size[1] / mm
        self._file = BytesIO()
        self._canvas: Any = canvas.Canvas(self._file, pagesize=size, invariant=True)
        self._canvas.setTitle(f"ECG report: {report.title}")
        self._canvas.setAuthor("Wristlead")
        self._width_of = pdfmetrics.stringWidth
        self._number = 0
        self._made = f"{report.made:%Y-%m-%d %H:%M %Z}"
        self.at_mm = TOP_MM
        self._begin_page()

    def heading(self, text: str) -> None:
        """A line in large letters."""
        self._room(2 * LINE_MM)
        self.at_mm += LINE_MM / 3
        for line in self._wrapped(text, TEXT_PT + 2):
            self._text(LEFT_MM, line, TEXT_PT + 2, bold=True)
            self.at_mm += 1.3 * LINE_MM

    def lines(self, texts: list[str]) -> None:
        """Paragraphs over the whole width."""
        for text in texts:
            for line in self._wrapped(text):
                self._room(LINE_MM)
                self._text(LEFT_MM, line, TEXT_PT)
                self.at_mm += LINE_MM

    def fact(self, left_mm: float, what: str, value: str) -> None:
        """A line of a table."""
        self._text(left_mm, what, TEXT_PT, grey=0.35)
        self._text(left_mm + BESIDE_MM, value[:60], TEXT_PT)
        self.at_mm += LINE_MM

    def finding(self, name: str, text: str, share: float, presence: str) -> None:
        """A line of the table at the right, with a bar."""
        mm, canvas, left = self._mm, self._canvas, RIGHT_MM
        self._text(left, name, TEXT_PT, grey=0.35)
        self._text(left + BESIDE_MM, text, TEXT_PT)
        below = (self._height_mm - self.at_mm - 2.9) * mm
        canvas.setFillGray(0.9)
        canvas.rect((left + 52) * mm, below, BAR_MM * mm, 2 * mm, stroke=0, fill=1)
        canvas.setFillGray(0.25)
        canvas.rect((left + 52) * mm, below, share * BAR_MM * mm, 2 * mm, stroke=0, fill=1)
        self._text(left + 85, presence, TEXT_PT)
        self.at_mm += LINE_MM

    def strip(self, row: Row) -> None:
        """A row of ECG paper with its trace."""
        self._room(row.height_mm + GAP_MM)
        mm, canvas = self._mm, self._canvas
        canvas.saveState()
        canvas.translate(LEFT_MM * mm, (self._height_mm - self.at_mm - row.height_mm) * mm)
        draw_grid(canvas, mm, row.width_mm, (0.0, row.height_mm))
        canvas.setStrokeGray(0.3)
        canvas.lines([(x * mm, 0, x * mm, 1.5 * mm) for x in row.r_peaks_mm.tolist()])
        self._trace(row)
        canvas.restoreState()
        self._text(LEFT_MM + 0.6, f"{row.first_s:.0f} s", 7, grey=0.35)
        self.at_mm += row.height_mm + GAP_MM

    def close(self) -> bytes:
        """The bytes of the file."""
        self._canvas.showPage()
        self._canvas.save()
        return self._file.getvalue()

    def _trace(self, row: Row) -> None:
        begin_trace(self._canvas, self._mm)
        for line in row.lines_mm:
            draw_polyline(self._canvas, self._mm, [(x, row.height_mm - y) for x, y in line.tolist()])

    def _room(self, needs_mm: float) -> None:
        if self.at_mm + needs_mm > self._height_mm - BOTTOM_MM:
            self.next_page()

    def next_page(self) -> None:
        """Go on to a new page."""
        self._canvas.showPage()
        self._begin_page()

    def _begin_page(self) -> None:
        self._number += 1
        self.at_mm = self._height_mm - BOTTOM_MM + 3
        notice = (
            "For education and research; not a medical device. 25 mm/s and 10 mm/mV where printed at 100 %."
        )
        self._text(LEFT_MM, f"Wristlead, {self._made}. {notice} Page {self._number}", 7, grey=0.35)
        self.at_mm = TOP_MM

    def _text(
        self, left_mm: float, text: str, size_pt: float, *, bold: bool = False, grey: float = 0.0
    ) -> None:
        self._canvas.setFont(font_of(text, bold=bold), size_pt)
        self._canvas.setFillGray(grey)
        self._canvas.drawString(left_mm * self._mm, (self._height_mm - self.at_mm - 3) * self._mm, text)

    def _wrapped(self, text: str, size_pt: float = TEXT_PT) -> list[str]:
        lines, room = [""], (self._width_mm - 2 * LEFT_MM) * self._mm
        for word in text.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if (
                self._width_of(longer, font_of(text, bold=size_pt > TEXT_PT), size_pt) <= room
                or not lines[-1]
            ):
                lines[-1] = longer
            else:
                lines.append(word)
        return lines
