"""ECG paper, traces and letters on a canvas of reportlab; lengths are millimetres, `mm` points of one."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

PAPER_RGB, MINOR_RGB, MAJOR_RGB = (1.0, 0.985, 0.98), (0.96, 0.81, 0.79), (0.91, 0.64, 0.6)
MINOR_MM, MAJOR_MM = 0.06, 0.15  # widths of the grid's lines
TRACE_MM = 0.25
OTHER_SCRIPTS = "STSong-Light"  # one of the fonts that readers bring themselves, for names beyond Latin


def is_installed() -> bool:
    """Whether PDFs can be made here."""
    return find_spec("reportlab") is not None


def draw_grid(
    canvas: Any, mm: float, width_mm: float, tall_mm: tuple[float, float], origin_mm: float = 0.0
) -> None:
    """Paper from the canvas's origin to the right, and `tall_mm` down and up from it.

    Its lines are counted from the height of the origin, and from `origin_mm` right of it.
    """
    down_mm, up_mm = tall_mm
    canvas.setFillColorRGB(*PAPER_RGB)
    canvas.rect(0, -down_mm * mm, width_mm * mm, (up_mm + down_mm) * mm, stroke=0, fill=1)
    for every_mm, rgb, line_mm in ((1, MINOR_RGB, MINOR_MM), (5, MAJOR_RGB, MAJOR_MM)):
        canvas.setStrokeColorRGB(*rgb)
        canvas.setLineWidth(line_mm * mm)
        begin = -(origin_mm // every_mm) * every_mm
        across = [origin_mm + step for step in range(int(begin), int(width_mm - origin_mm) + 1, every_mm)]
        up = range(-int(down_mm), int(up_mm) + 1, every_mm)
        canvas.lines([(x * mm, -down_mm * mm, x * mm, up_mm * mm) for x in across])
        canvas.lines([(0, y * mm, width_mm * mm, y * mm) for y in up])


def begin_trace(canvas: Any, mm: float) -> None:
    """The pen of a trace."""
    canvas.setStrokeGray(0.05)
    canvas.setLineWidth(TRACE_MM * mm)
    canvas.setLineJoin(1)


def draw_polyline(canvas: Any, mm: float, points_mm: Iterable[tuple[float, float]]) -> None:
    """One stroke through all points."""
    path = canvas.beginPath()
    for k, (x, y) in enumerate(points_mm):
        (path.lineTo if k else path.moveTo)(round(x * mm, 3), round(y * mm, 3))
    canvas.drawPath(path)


def font_of(words: str, *, bold: bool = False) -> str:
    """A font that has these letters."""
    try:
        words.encode("cp1252")
    except UnicodeEncodeError:
        return OTHER_SCRIPTS
    return "Helvetica-Bold" if bold else "Helvetica"
