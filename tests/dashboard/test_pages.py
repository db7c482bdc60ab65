"""Layouts and figures as data: every id that a script looks for is there, every number begins unknown."""

import re
from pathlib import Path
from typing import Any

import pytest

from dashboard import app as app_module
from dashboard import ids, texts, theme
from dashboard.app import page_layout, shell_layout
from dashboard.pages.patient import patient_layout
from dashboard.texts.scripts import SCRIPT
from inference.alarms.alarm import AlarmKind, AlarmPriority, AlarmState
from inference.verdict import Indeterminate, Superclass
from ingest import plausibility
from ingest.vitals import SignalState

ASSETS = Path(app_module.__file__).parent / "assets"
SCRIPTS = {path.name: path.read_text() for path in ASSETS.glob("*.*js")}
PATHS = (
    "/",
    "/patient/a/b",
    "/event/a/b/asystole/1790000000000000",
    "/alarms",
    "/connect",
    "/devices",
    "/model",
    "/settings",
    "/review/a/b",
    "/review",
    "/recordings",
    "/recording/a1",
)


# Scripts that fill fields of a page beside its own.
PATIENT_PARTS = ("patient.mjs", "patient_paper.mjs", "frozen_paper.mjs", "verdict_card.mjs")
PATIENT_SCRIPTS = ("why.mjs", "notes.mjs", "patient_trends.mjs", "screen_dialog.mjs", *PATIENT_PARTS)


def tree(component: Any) -> list[dict[str, Any]]:
    """Every element of a layout as its properties."""
    if isinstance(component, list | tuple):
        return [found for child in component for found in tree(child)]
    if not hasattr(component, "to_plotly_json"):
        return []
    properties = component.to_plotly_json()["props"]
    return [properties, *tree(properties.get("children"))]


def known_ids() -> set[str]:
    return {value for name, value in vars(ids).items() if name.isupper()}


def test_paths_lead_to_their_pages() -> None:
    assert tree(page_layout("/", {}))[0]["data-page"] == "wall"
    assert tree(page_layout("/patient/ward/bed-1", {}))[0]["data-device"] == "ward/bed-1"
    event = tree(page_layout("/event/ward/bed-1/asystole/1790000000000000", {}))[0]
    assert (event["data-page"], event["data-device"], event["data-kind"]) == (
        "event",
        "ward/bed-1",
        "asystole",
    )
    assert tree(page_layout("/review/ward/bed-1", {}))[0]["data-device"] == "ward/bed-1"
    for path in (
        "/event/ward/bed-1/nonsense/1",
        "/event/ward/bed-1/asystole/x",
        "/event/ward/bed-1/asystole",
    ):
        assert texts.NOT_FOUND in str(page_layout(path, {}))
    for path, page in (("/devices", "devices"), ("/model", "model"), ("/settings/", "settings")):
        assert tree(page_layout(path, {}))[0]["data-page"] == page
    assert tree(page_layout("/channels", {}))[0]["data-page"] == "settings"  # an old address leads on
    for path in ("/patient/ward", "/patient/a/b/c", "/patient/a/<script>", "/elsewhere"):
        assert texts.NOT_FOUND in str(page_layout(path, {}))


def test_every_id_a_script_looks_for_is_laid_out() -> None:
    placed = {
        p["id"]
        for page in (shell_layout(), *(page_layout(path, {"a/b": "B"}) for path in PATHS))
        for p in tree(page)
        if "id" in p
    }
    wanted = {
        name
        for text in SCRIPTS.values()
        for pair in re.findall(r'getElementById\("([\w-]+)"\)|"#([\w-]+)[ "]', text)
        for name in pair
        if name
    } - {"facts"}
    assert len(wanted) >= 8
    assert wanted <= placed
    assert placed <= known_ids()


def test_no_script_reads_what_it_never_set() -> None:
    for name, text in SCRIPTS.items():
        made = set(re.findall(r"\bthis\.(\w+)(?:, this\.\w+\])? (?:\?\?|\|\||[-+])?=(?!=)", text))
        made |= set(re.findall(r"\[this\.\w+, this\.(\w+)\] =", text))
        made |= set(re.findall(r"^  (?:get |set |async |static )?(\w+)\(", text, re.MULTILINE))
        for given in re.findall(r"Object\.assign\(this, \{(.*?)\}\);", text, re.DOTALL):
            made |= set(re.findall(r"\w+", given))
        assert set(re.findall(r"\bthis\.(\w+)", text)) <= made, name


@pytest.mark.parametrize(
    ("scripts", "path"),
    [
        (PATIENT_PARTS, "/patient/a/b"),
        (("event.mjs",), "/event/a/b/asystole/1790000000000000"),
        (("alarms.mjs",), "/alarms"),
        (("devices.mjs",), "/devices"),
        (("review.mjs",), "/review/a/b"),
        (("settings.mjs", "settings_log.mjs", "keeping.mjs", "channels.mjs"), "/settings"),
    ],
)
def test_every_field_that_a_script_fills_is_laid_out(scripts: tuple[str, ...], path: str) -> None:
    fields = {p["data-field"] for p in tree(page_layout(path, {})) if "data-field" in p}
    text = "".join(SCRIPTS[script] for script in scripts)
    filled = set(re.findall(r"field\.(\w+)", text)) | set(re.findall(r'field\["([\w-]+)"\]', text))
    if path == "/settings":  # by a name that is kept beside the place
        filled |= {"sites", "patients", "no_sites", "no_patients", "keep_default", "keep_set", "keep_deletes"}
    intervals = {each for each in fields if each.startswith("interval-")}
    told = re.findall(r'fill\(field, "(\w+)"', SCRIPTS["intervals.mjs"]) if intervals else []
    assert intervals == {f"interval-{name}{unit}" for name in told for unit in ("", "-unit")}
    assert filled == fields - intervals


def test_every_kind_and_state_of_alarm_has_its_words() -> None:
    assert set(texts.KINDS) == set(AlarmKind)
    assert set(texts.STATES) == set(AlarmState)
    assert set(texts.PRIORITIES) == set(AlarmPriority)


def test_a_patient_page_begins_with_everything_unknown() -> None:
    elements = tree(patient_layout("ward/bed"))
    (rate,) = [p for p in elements if p.get("data-field") == "rate"]
    assert rate["children"] == texts.UNKNOWN
    findings = [p["data-superclass"] for p in elements if "data-superclass" in p]
    assert findings == [str(superclass) for superclass in Superclass]


def test_the_research_notice_stands_on_every_page() -> None:
    assert texts.RESEARCH_USE in str(shell_layout())
    assert "Not a medical device" in texts.RESEARCH_USE


def test_every_text_a_script_uses_exists() -> None:
    """A script of one page has its words under the page's name, and those of all as `all`."""
    used = set()
    for text in SCRIPTS.values():
        (page,) = re.findall(r"^const texts = all\.(\w+);$", text, re.MULTILINE) or [None]
        words = set(re.findall(r"\btexts\.(\w+)", text)) - {"mjs", "py"}
        if page is None:
            used |= words
        else:
            assert words <= set(SCRIPT[page]), page
            used |= set(re.findall(r"\ball\.(\w+)", text))
    assert len(used) > 30
    assert used <= set(SCRIPT)


def test_every_word_of_the_patient_page_exists_and_is_said() -> None:
    used = {name for script in PATIENT_SCRIPTS for name in re.findall(r"words\.(\w+)", SCRIPTS[script])}
    used |= set(re.findall(r"texts\.patient\.(\w+)", SCRIPTS["stored.mjs"]))
    assert used - {"mjs"} == set(SCRIPT["patient"]) - {"unknown"}


def test_every_part_of_why_that_its_script_fills_is_laid_out() -> None:
    parts = {p["data-why"] for p in tree(patient_layout("a/b")) if "data-why" in p}
    filled = set(re.findall(r"part\.(\w+)", SCRIPTS["why.mjs"])) | set(
        re.findall(r'part\["([\w-]+)"\]', SCRIPTS["why.mjs"])
    )
    by_name = {"grad_cam", "gradient_shap", "wave", "wave-figure", "lag-figure", "shap", "shap-figure"}
    assert filled <= parts
    assert parts - filled <= by_name | {f"{name}-scale" for name in ("wave", "lag", "beat", "rhythm", "shap")}


@pytest.mark.parametrize("tokens", [theme.DARK, theme.LIGHT], ids=["dark", "light"])
def test_text_and_traces_stand_out_enough(tokens: dict[str, str]) -> None:
    for ground in ("page", "panel"):
        for text in ("text", "dim", "high-text", "medium-text", "low-text", "advisory-text"):
            assert theme.contrast(tokens[text], tokens[ground]) >= 4.5, (text, ground)
    for ground in ("panel", "paper"):
        assert theme.contrast(tokens["trace"], tokens[ground]) >= 3
    for level in ("high", "medium", "low", "advisory"):
        assert theme.contrast(theme.ALARMS["on-alarm"], theme.ALARMS[level]) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert theme.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_every_state_of_the_signal_has_its_words() -> None:
    assert set(SCRIPT["signal"]) == {str(state) for state in SignalState} - {"good"}


def test_every_reason_that_the_model_cannot_tell_says_what_to_do() -> None:
    assert set(SCRIPT["remedy"]) == {str(reason) for reason in Indeterminate}
    assert set(SCRIPT["question"]) <= set(SCRIPT["remedy"])


def test_every_doubt_of_ingest_begins_with_what_a_panel_shows_of_it() -> None:
    spoken = re.findall(r'"((?:\w+ )?in doubt[^"]*)"', Path(plausibility.__file__).read_text())
    assert len(spoken) >= 3
    for doubt in spoken:
        assert re.match(r"\w+ in doubt: ", doubt), doubt
