"""ECG on grid paper as PDF, A4 or Letter, of which 1 mm is 1 mm when printed at 100 % (extra `report`)."""

from importlib import import_module
from io import BytesIO
from typing import Any

from inference.report.pdf_lines import OTHER_SCRIPTS, begin_trace, draw_grid, draw_polyline, font_of
from inference.report.sheet import MM_PER_MV, PULSE_MM, Row, Sheet, rows_of

REMEDY = "PDF and PNG need a package that is not here: pip install 'wristlead[report]' brings it"
PAPERS = ("a4", "letter")
ROW_S = 10.0  # 250 mm, which both papers hold across
MARGIN_MM = 9.0
LINE_MM = 4.4
ROW_GAP_MM = 3.0
FOOT_MM = 7.0
TEXT_PT, TITLE_PT = 8.0, 12.0


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
        font = import_module("reportlab.pdfbase.cidfonts").UnicodeCIDFont(OTHER_SCRIPTS)
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
        # counted from the start of time and from 0 mV
        draw_grid(canvas, mm, PULSE_MM + row.width_mm, (row.down_mm, row.up_mm), PULSE_MM)
        self._trace(row)
        canvas.restoreState()
        self._text(MARGIN_MM + PULSE_MM + 1, self._at_mm + 0.5, row.words, 7)
        self._at_mm += height_mm + ROW_GAP_MM

    def close(self) -> bytes:
        """The bytes of the file."""
        self._canvas.showPage()
        self._canvas.save()
        return self._file.getvalue()

    def _trace(self, row: Row) -> None:
        canvas, mm = self._canvas, self._mm
        begin_trace(canvas, mm)
        draw_polyline(canvas, mm, [(1, 0), (1.5, 0), (1.5, MM_PER_MV), (6.5, MM_PER_MV), (6.5, 0), (7, 0)])
        for line in row.lines:
            draw_polyline(canvas, mm, [(PULSE_MM + x, y) for x, y in line.tolist()])

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
        canvas.setFont(font_of(words), size_pt)
        canvas.drawString(left_mm * mm, (self._height_mm - top_mm) * mm - size_pt * 0.8, words)
