"""Reports say what was found, at true scale, and nothing of who was recorded."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.recording_files import PERSON, apple_csv, ecg_uv, samsung_csv
from inference.classifier import Classifier
from inference.recordings import pdf_report, words
from inference.recordings.html_report import ROW_S, UNITS_PER_MM, html_report
from inference.recordings.judge import judge
from inference.recordings.report import Part, Report
from inference.recordings.strip import BAND_HZ, LONGEST_S, Strip, rows_of, strip_of
from inference.recordings.summary import summary_of
from ingest.chunk import Lead
from ingest.recordings import Format, Recording
from tests.ingest.recordings.reading import read_one

MADE = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


def part_of(recording: Recording, classifier: Classifier) -> Part:
    judged = judge(recording, classifier)
    return Part(summary_of(judged), strip_of(judged))


@pytest.fixture(scope="module")
def apple(classifier: Classifier) -> Part:
    return part_of(read_one(apple_csv(ecg_uv(30, 512.414, of="HYP")), name="ecg.csv"), classifier)


@given(st.floats(2, 95), st.floats(60, 300), st.floats(3, 12))
def test_rows_are_25_mm_a_second_and_10_mm_a_millivolt_and_leave_nothing_out(
    seconds: float, fs: float, row_s: float
) -> None:
    n = round(seconds * fs)
    samples_mv = np.sin(np.arange(n) / fs).astype(np.float32)
    peaks_s = np.arange(0.5, seconds - 0.5, 0.7) + 7.0
    rows = rows_of(Strip(samples_mv, fs, 7.0, peaks_s, -1.5, 1.5), row_s)
    per_row = round(row_s * fs)
    drawn = np.concatenate([row.lines_mm[0][:per_row] if row.lines_mm else np.zeros((1, 2)) for row in rows])
    assert len(drawn) == n
    whole = [row for row in rows if row.lines_mm]
    for row in whole:
        at_s = row.first_s + row.lines_mm[0][:, 0] / 25 - 7.0
        np.testing.assert_allclose(1.5 - row.lines_mm[0][:, 1] / 10, np.sin(at_s), atol=1e-4)
    assert sum(len(row.r_peaks_mm) for row in rows) == pytest.approx(len(peaks_s), abs=len(rows))


def test_the_page_shows_the_trace_to_the_hundredth_of_a_millimetre(apple: Part) -> None:
    page = html_report(Report(MADE, [apple], []))
    svgs = re.findall(
        r'<svg width="(\S+)mm" height="(\S+)mm" viewBox="0 0 (\d+) (\d+)" role="img".*?</svg>', page
    )
    assert len(svgs) == 3  # 30 s, 10 s each
    for width, height, units_across, units_down in svgs:
        assert float(width) * UNITS_PER_MM == int(units_across)
        assert float(height) * UNITS_PER_MM == int(units_down)
    traces = re.findall(r'<path d="M(\d+) (\d+)l([-\d ]+)" fill="none"', page)
    drawn = []
    for x, y, steps in traces:
        points = np.cumsum(np.array([[int(x), int(y)], *np.array(steps.split(), int).reshape(-1, 2)]), axis=0)
        drawn.append(points / UNITS_PER_MM)
    for row, points in zip(rows_of(apple.strip, ROW_S), drawn, strict=True):
        np.testing.assert_allclose(points, row.lines_mm[0], atol=0.0051)


def test_the_trace_is_the_recording_in_a_monitors_band(classifier: Classifier) -> None:
    fs = 512.0
    time_s = np.arange(round(20 * fs)) / fs
    slow, mains = 2 * np.sin(2 * np.pi * 0.1 * time_s), 0.5 * np.sin(2 * np.pi * 100 * time_s)
    wave = np.sin(2 * np.pi * 5 * time_s)
    one = Recording((wave + slow + mains + 3).astype(np.float32), fs, Lead.I, Format.APPLE, "x")
    strip = strip_of(judge(one, classifier))
    middle = slice(round(4 * strip.fs), round(16 * strip.fs))
    error = strip.samples_mv - wave[:: round(fs / strip.fs)]
    assert np.abs(error[middle]).max() < 0.15
    assert BAND_HZ == (0.5, 40.0)


def test_holes_stay_open_and_beats_are_marked(classifier: Classifier) -> None:
    ecg_mv = ecg_uv(20, 500) / 1000
    ecg_mv[3000:3700] = np.nan
    judged = judge(Recording(ecg_mv.astype(np.float32), 500, Lead.I, Format.APPLE, "x"), classifier)
    strip = strip_of(judged)
    first, second = rows_of(strip, 10.0)
    assert len(first.lines_mm) == 2
    assert len(second.lines_mm) == 1
    assert len(first.r_peaks_mm) + len(second.r_peaks_mm) == len(judged.r_peaks)


def test_of_a_long_recording_the_minute_is_drawn_that_shows_what_was_found(classifier: Classifier) -> None:
    normal, af = ecg_uv(200, 250), ecg_uv(200, 250, rhythm="af")
    ecg_mv = np.concatenate([normal, normal, af]) / 1000
    one = Recording(ecg_mv.astype(np.float32), 250, Lead.I, Format.EDF, "holter.edf")
    part = part_of(one, classifier)
    assert part.strip.end_s - part.strip.first_s == pytest.approx(LONGEST_S, abs=0.1)
    assert part.strip.first_s > 370
    assert "Shown are the seconds" in html_report(Report(MADE, [part], []))


def test_everything_that_is_known_stands_in_both_reports_words(apple: Part) -> None:
    page = unescape(html_report(Report(MADE, [apple], ["bad.csv, line 3: no number"], [])))
    one = apple.summary
    for text in (
        words.DISCLAIMER,
        one.model,
        words.found(one),
        "Sinus Rhythm",
        "2026-07-26 21:56:26+02:00",
        "Watch5,4",
        "512.414 Hz",
        "25 mm/s, 10 mm/mV",
        "bad.csv, line 3: no number",
        "hypertrophy",
        *(sentences for _, sentences in words.plain(one)),
    ):
        assert text in page
    assert len(words.plain(one)) >= 3
    assert not any(word in page for word in PERSON)


def test_a_hostile_name_is_text_and_no_markup(apple: Part) -> None:
    evil = '<script>alert("x")</script>.csv'
    summary = replace(apple.summary, file=evil, vendor_verdict="<b>", device="</td>")
    page = html_report(
        Report(MADE, [Part(summary, apple.strip)] * 2, [evil], [replace(summary, same_as=evil)])
    )
    assert "<script" not in page
    assert "<b>" not in page


def test_unknown_is_shown_as_such(classifier: Classifier) -> None:
    part = part_of(read_one(samsung_csv(np.zeros(6000))), classifier)
    assert words.rate(part.summary) == "--"
    assert words.found(part.summary) == "cannot tell: flat"
    assert words.started(part.summary) == "2026-07-26 21:56:26 (time zone not told)"
    assert "cannot tell: flat" in html_report(Report(MADE, [part], []))


@pytest.mark.parametrize(("paper", "box"), [("a4", b"841.8898 595.2756"), ("letter", b"792 612")])
def test_a_pdf_has_the_paper_that_was_asked_for_and_its_words_after_a_page_of_paper(
    apple: Part, paper: str, box: bytes
) -> None:
    pytest.importorskip("reportlab")
    content = pdf_report.pdf_report(Report(MADE, [apple], []), paper)
    assert content.startswith(b"%PDF-")
    assert content.count(b"/MediaBox") == 2  # the second has the words in plain language
    assert box in content
    several = pdf_report.pdf_report(Report(MADE, [apple, apple], ["bad.csv: refused"]), paper)
    assert several.count(b"/MediaBox") in (5, 6)  # an overview, two for each, and perhaps what was refused


def test_a_pdf_of_any_words_is_made(apple: Part) -> None:
    pytest.importorskip("reportlab")
    odd = replace(apple.summary, file="記録 " + "x" * 300, vendor_verdict="洞調律", device="Часы", notes=())
    assert pdf_report.pdf_report(Report(MADE, [Part(odd, apple.strip)], ["洞"])).startswith(b"%PDF-")
