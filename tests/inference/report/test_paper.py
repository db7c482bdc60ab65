"""Paper at true scale: measured in what the PDF itself says is drawn, and in the pixels of the PNG."""

import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from inference.report.paper_pdf import MARGIN_MM, PAPERS, ROW_S, paper_pdf
from inference.report.paper_png import PX_PER_MM, paper_png
from inference.report.sheet import MM_PER_MV, MM_PER_S, PULSE_MM, Sheet, Trace, rows_of

PT_PER_MM = 72 / 25.4
FS = 250.0
NUMBER = rb"(-?[0-9.]+)"


def sheet_of(duration_s: float, samples_mv: np.ndarray | None = None, **more: object) -> Sheet:
    times = np.arange(round(duration_s * FS)) / FS
    samples_mv = np.sin(2 * np.pi * times) if samples_mv is None else samples_mv
    trace = Trace(0.0, 1 / FS, samples_mv.astype(np.float32))
    words = [f"row {k}" for k in range(100)]
    said: dict[str, object] = {
        "head": ["Bed 4", "lead I"],
        "foot": "Not a medical device.",
        "row_words": words,
    }
    return Sheet(duration_s, [trace], **(said | more))  # type: ignore[arg-type]  # a test's own words


def drawn(pdf: bytes) -> list[tuple[bytes, np.ndarray]]:
    """What is stroked: by path, its operators ("mlml..."), and its points (n, 2) in mm."""
    found = []
    for path in re.findall(rb"n ((?:-?[0-9.]+ -?[0-9.]+ [ml] ?)+)S", pdf.replace(b"\n", b" ")):
        points = re.findall(rb"%b %b ([ml])" % (NUMBER, NUMBER), path)
        places = np.array([[float(x), float(y)] for x, y, _ in points]) / PT_PER_MM
        found.append((b"".join(operator for *_, operator in points), places))
    return found


def grid_mm(pdf: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where the upright lines of the grid stand, and the level ones."""
    upright, level = list[float](), list[float]()
    for operators, points in drawn(pdf):
        if operators == b"ml" * (len(points) // 2):
            for (x0, y0), (x1, y1) in points.reshape(-1, 2, 2).tolist():
                (upright if x0 == x1 else level).append(x0 if x0 == x1 else y0)
                assert x0 == x1 or y0 == y1
    return np.unique(np.round(upright, 3)), np.unique(np.round(level, 3))


@pytest.mark.parametrize("paper", PAPERS)
def test_a_square_is_a_millimetre_a_second_25_and_a_millivolt_10(paper: str) -> None:
    pdf = paper_pdf(sheet_of(ROW_S), paper, compressed=False)
    upright, level = grid_mm(pdf)
    assert len(upright) == PULSE_MM + ROW_S * 25 + 1
    assert len(level) == 15 + 15 + 1
    np.testing.assert_allclose(np.diff(upright), 1.0, atol=0.002)
    np.testing.assert_allclose(np.diff(level), 1.0, atol=0.002)
    assert upright[-1] == pytest.approx(PULSE_MM + ROW_S * 25, abs=0.01)
    pulse, trace = (
        points for operators, points in drawn(pdf) if operators.count(b"m") == 1 and len(points) > 2
    )
    assert np.ptp(pulse[:, 1]) == pytest.approx(10.0, abs=0.002)
    peaks = trace[np.flatnonzero(trace[:, 1] > trace[:, 1].max() - 1e-3)]
    np.testing.assert_allclose(np.diff(peaks[::2, 0]), 25.0, atol=0.005)  # one beat a second
    assert trace[:, 1].max() == pytest.approx(10.0, abs=0.01)
    assert np.abs(upright - trace[0, 0]).min() < 0.002  # time begins on a line


@pytest.mark.parametrize(("paper", "size_mm"), [("a4", (297.0, 210.0)), ("letter", (279.4, 215.9))])
def test_a_row_fits_the_paper_and_ten_minutes_take_several(paper: str, size_mm: tuple[float, float]) -> None:
    pdf = paper_pdf(sheet_of(600.0), paper, compressed=False)
    boxes = re.findall(rb"/MediaBox \[ 0 0 %b %b \]" % (NUMBER, NUMBER), pdf)
    assert {(round(float(w) / PT_PER_MM, 1), round(float(h) / PT_PER_MM, 1)) for w, h in boxes} == {size_mm}
    assert len(boxes) == 12  # 60 rows, five a page
    assert size_mm[0] > MARGIN_MM + PULSE_MM + ROW_S * 25
    assert pdf.count(b"Not a medical device.") == len(boxes)


def test_a_name_beyond_latin_can_be_written() -> None:
    assert paper_pdf(sheet_of(1.0, head=["床四"])).startswith(b"%PDF")


def test_another_paper_is_refused() -> None:
    with pytest.raises(ValueError, match="want a4 or letter"):
        paper_pdf(sheet_of(1.0), "a5")


def test_a_gap_stays_open_and_all_rows_are_of_one_height() -> None:
    samples_mv = np.concatenate([np.full(1000, 0.2), np.full(500, np.nan), np.full(3500, 2.4)])
    rows = rows_of(sheet_of(20.0, samples_mv), ROW_S)
    assert {(row.up_mm, row.down_mm) for row in rows} == {(30.0, 10.0)}
    first, second = rows
    assert [(line[0, 0], line[-1, 0]) for line in first.lines] == [
        pytest.approx((0.0, 999 / FS * MM_PER_S)), pytest.approx((6 * MM_PER_S, 10 * MM_PER_S)),
    ]  # fmt: skip
    assert second.lines[0][0].tolist() == pytest.approx([0.0, 2.4 * MM_PER_MV])


def test_what_is_beyond_the_row_is_drawn_at_its_edge() -> None:
    [row] = rows_of(sheet_of(1.0, np.linspace(-30, 30, 250)), ROW_S)
    assert row.lines[0][:, 1].min() == -row.down_mm
    assert row.lines[0][:, 1].max() == row.up_mm


def test_a_png_has_ten_pixels_a_millimetre_and_says_so() -> None:
    image = Image.open(BytesIO(paper_png(sheet_of(10.0))))
    assert image.info["dpi"] == pytest.approx((254, 254), abs=0.1)
    pixels = np.asarray(image.convert("RGB")).astype(int)
    dark = (pixels.sum(axis=2) < 120)[:, round((5 + PULSE_MM) * PX_PER_MM) :]
    peaks = np.flatnonzero(dark[np.argmax(dark.sum(axis=1) > 30)])  # the upper edge of the trace
    assert np.diff(peaks)[np.diff(peaks) > 50] == pytest.approx(25 * PX_PER_MM, abs=25)
    assert len(peaks) > 9
