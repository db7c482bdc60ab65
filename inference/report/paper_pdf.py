"""ECG on grid paper as PDF, A4 or Letter, of which 1 mm is 1 mm when printed at 100 % (extra `report`)."""

from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from typing import Any

from inference.report.sheet import MM_PER_MV, PULSE_MM, Row, Sheet, rows_of

REMEDY = "PDF and PNG need a package that is not here: pip install 'wristlead[report]' brings it"
PAPERS = ("a4", "letter")
ROW_S = 10.0  # 250 mm, which both papers hold across
MARGIN_MM = 9.0
LINE_MM = 4.4
ROW_GAP_MM = 3.0
FOOT_MM = 7.0
TEXT_PT, TITLE_PT = 8.0, 12.0
PAPER_RGB, MINOR_RGB, MAJOR_RGB = (1.0, 0.985, 0.98), (0.96, 0.81, 0.79), (0.91, 0.64, 0.6)
MINOR_MM, MAJOR_MM = 0.06, 0.15  # widths of the grid's lines
TRACE_MM = 0.25
_OTHER_SCRIPTS = "STSong-Light"  # one of the fonts that readers bring themselves, for names beyond Latin


def is_installed() -> bool:
    """Whether files on paper can be made here."""
    return find_spec("reportlab") is not None


def paper_pdf(sheet: Sheet, paper: str = "a4", *, compressed: bool = True) -> bytes:
    """The document, landscape; raises ModuleNotFoundError without reportlab, ValueError for another paper."""
    if paper not in PAPERS:
        raise ValueError(f"paper is {paper[:16]!r}, want {' or '.join(PAPERS)}")
    pages = _Pages(sheet, paper, compressed=compressed)
    for row in rows_of(sheet, ROW_S):
        pages.row(row)
    return pages.close()


class _Pages:
    """A cursor that goes down the page; lengths are millimetres, heights from the top."""

    def __init__(self, sheet: Sheet, paper: str, *, compressed: bool) -> None:
        pagesizes: Any = import_module("reportlab.lib.pagesizes")  # an extra, loaded where it is used
        mm: float = import_module("reportlab.lib.units").mm
        font = import_module("reportlab.pdfbase.cidfonts").UnicodeCIDFont(_OTHER_SCRIPTS)
        import_module("reportlab.pdfbase.pdfmetrics").registerFont(font)
        size = pagesizes.landscape(pagesizes.LETTER if paper == "letter" else pagesizes.A4)
        self._mm = mm
        self._height_mm = size[1] / mm
        self._file = BytesIO()
        self._canvas: Any = import_module("reportlab.pdfgen.canvas").Canvas(
            self._file, pagesize=size, invariant=True, pageCompression=int(compressed)
        )
        self._canvas.setTitle(sheet.head[0])
        self._canvas.setAuthor("Wristlead")
        self._sheet = sheet
        self._number = 0
        self._begin_page()

    def row(self, row: Row) -> None:
        """Draw one row, on a new page where this one is full."""
        height_mm = row.up_mm + row.down_mm
        if self._at_mm + height_mm > self._height_mm - MARGIN_MM - FOOT_MM:
            self._canvas.showPage()
            self._begin_page()
        canvas, mm = self._canvas, self._mm
        canvas.saveState()
        base_mm = self._height_mm - self._at_mm - row.up_mm
        canvas.translate(MARGIN_MM * mm, base_mm * mm)  # 0 mV at the left edge
        self._grid(row)
        self._trace(row)
        canvas.restoreState()
        self._text(MARGIN_MM + PULSE_MM + 1, self._at_mm + 0.5, row.words, 7)
        self._at_mm += height_mm + ROW_GAP_MM

    def close(self) -> bytes:
        """The bytes of the file."""
        self._canvas.showPage()
        self._canvas.save()
        return self._file.getvalue()

    def _grid(self, row: Row) -> None:
        canvas, mm = self._canvas, self._mm
        width_mm = PULSE_MM + row.width_mm
        canvas.setFillColorRGB(*PAPER_RGB)
        canvas.rect(0, -row.down_mm * mm, width_mm * mm, (row.up_mm + row.down_mm) * mm, stroke=0, fill=1)
        for every_mm, rgb, line_mm in ((1, MINOR_RGB, MINOR_MM), (5, MAJOR_RGB, MAJOR_MM)):
            canvas.setStrokeColorRGB(*rgb)
            canvas.setLineWidth(line_mm * mm)
            begin = -(PULSE_MM // every_mm) * every_mm  # counted from the start of time and from 0 mV
            steps = range(int(begin), int(row.width_mm) + 1, every_mm)
            across = [PULSE_MM + step for step in steps]
            up = range(-int(row.down_mm), int(row.up_mm) + 1, every_mm)
            canvas.lines([(x * mm, -row.down_mm * mm, x * mm, row.up_mm * mm) for x in across])
            canvas.lines([(0, y * mm, width_mm * mm, y * mm) for y in up])

    def _trace(self, row: Row) -> None:
        canvas, mm = self._canvas, self._mm
        canvas.setStrokeGray(0.05)
        canvas.setLineWidth(TRACE_MM * mm)
        canvas.setLineJoin(1)
        pulse = [(1, 0), (1.5, 0), (1.5, MM_PER_MV), (6.5, MM_PER_MV), (6.5, 0), (7, 0)]
        self._polyline(pulse)
        for line in row.lines:
            self._polyline([(PULSE_MM + x, y) for x, y in line.tolist()])

    def _polyline(self, points_mm: list[tuple[float, float]]) -> None:
        path = self._canvas.beginPath()
        for k, (x, y) in enumerate(points_mm):
            (path.lineTo if k else path.moveTo)(round(x * self._mm, 3), round(y * self._mm, 3))
        self._canvas.drawPath(path)

    def _begin_page(self) -> None:
        self._number += 1
        self._at_mm = MARGIN_MM
        for k, words in enumerate(self._sheet.head if self._number == 1 else self._sheet.head[:1]):
            size_pt = TEXT_PT if k else TITLE_PT
            self._text(MARGIN_MM, self._at_mm, words, size_pt)
            self._at_mm += LINE_MM * (size_pt / TEXT_PT) ** 0.8
        self._at_mm += 2
        foot_mm = self._height_mm - MARGIN_MM - 2
        self._text(MARGIN_MM, foot_mm, f"{self._sheet.foot}   Page {self._number}", 7)

    def _text(self, left_mm: float, top_mm: float, words: str, size_pt: float) -> None:
        canvas, mm = self._canvas, self._mm
        canvas.setFillGray(0.1)
        canvas.setFont(_font(words), size_pt)
        canvas.drawString(left_mm * mm, (self._height_mm - top_mm) * mm - size_pt * 0.8, words)


def _font(words: str) -> str:
    try:
        words.encode("cp1252")
    except UnicodeEncodeError:
        return _OTHER_SCRIPTS
    return "Helvetica"
