"""ECG on grid paper as a PNG of 10 pixels a millimetre (extra `report`, whose Pillow draws it)."""

from importlib import import_module
from io import BytesIO
from typing import Any

from inference.report.pdf_lines import MAJOR_RGB, MINOR_RGB, PAPER_RGB
from inference.report.sheet import MM_PER_MV, PULSE_MM, Row, Sheet, rows_of

PX_PER_MM = 10
ROW_S = 10.0
MARGIN_MM = 5.0
LINE_MM = 5.0
ROW_GAP_MM = 3.0
DPI = PX_PER_MM * 25.4
_INK = (13, 13, 13)


def paper_png(sheet: Sheet) -> bytes:
    """All rows under each other; raises ModuleNotFoundError without Pillow."""
    images: Any = import_module("PIL.Image")  # an extra, loaded where it is used
    rows = rows_of(sheet, min(ROW_S, max(1.0, sheet.duration_s)))
    width_mm = 2 * MARGIN_MM + PULSE_MM + rows[0].width_mm
    head_mm = MARGIN_MM + LINE_MM * (len(sheet.head) + 0.6)
    height_mm = head_mm + sum(row.up_mm + row.down_mm + ROW_GAP_MM for row in rows) + LINE_MM + MARGIN_MM
    image = images.new("RGB", (round(width_mm * PX_PER_MM), round(height_mm * PX_PER_MM)), (255, 255, 255))
    pen: Any = import_module("PIL.ImageDraw").Draw(image)
    for k, words in enumerate(sheet.head):
        _text(pen, MARGIN_MM, MARGIN_MM + k * LINE_MM, words, 3.6 if k == 0 else 2.8)
    top_mm = head_mm
    for row in rows:
        _draw(pen, row, top_mm)
        top_mm += row.up_mm + row.down_mm + ROW_GAP_MM
    _text(pen, MARGIN_MM, top_mm, sheet.foot, 2.4)
    file = BytesIO()
    image.save(file, "PNG", dpi=(DPI, DPI), optimize=True)
    return file.getvalue()


def _draw(pen: Any, row: Row, top_mm: float) -> None:
    left, base = MARGIN_MM * PX_PER_MM, (top_mm + row.up_mm) * PX_PER_MM
    right = left + (PULSE_MM + row.width_mm) * PX_PER_MM
    top, bottom = base - row.up_mm * PX_PER_MM, base + row.down_mm * PX_PER_MM
    pen.rectangle((left, top, right, bottom), fill=_bytes(PAPER_RGB))
    zero = left + PULSE_MM * PX_PER_MM
    for every_mm, rgb, width in ((1, MINOR_RGB, 1), (5, MAJOR_RGB, 2)):
        step = every_mm * PX_PER_MM
        for x in range(round(zero - zero // step * step), round(right) + 1, step):
            if x >= left:
                pen.line((x, top, x, bottom), fill=_bytes(rgb), width=width)
        for k in range(-int(row.up_mm // every_mm), int(row.down_mm // every_mm) + 1):
            pen.line((left, base + k * step, right, base + k * step), fill=_bytes(rgb), width=width)
    pulse = [(1, 0), (1.5, 0), (1.5, MM_PER_MV), (6.5, MM_PER_MV), (6.5, 0), (7, 0)]
    lines = [[(PULSE_MM + x, y) for x, y in line.tolist()] for line in row.lines]
    for points in [pulse, *lines]:
        pixels = [(left + x * PX_PER_MM, base - y * PX_PER_MM) for x, y in points]
        pen.line(pixels, fill=_INK, width=3, joint="curve")
    _text(pen, MARGIN_MM + PULSE_MM + 1, top_mm + 0.4, row.words, 2.4)


def _text(pen: Any, left_mm: float, top_mm: float, words: str, size_mm: float) -> None:
    font: Any = import_module("PIL.ImageFont").load_default(size_mm * PX_PER_MM)
    pen.text((left_mm * PX_PER_MM, top_mm * PX_PER_MM), words, fill=_INK, font=font)


def _bytes(rgb: tuple[float, float, float]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in rgb)
    return red, green, blue
