import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.card import CARD_NAME, MODEL_NAME, RELEASED_WEIGHTS, Card, decode_card, encode_card
from inference.classifier import Classifier
from inference.training.card_pictures import RELIABILITY_NAME, RISK_NAME, ROC_NAME, draw_pictures
from inference.training.card_tables import each_value, markdown, number, share, span
from inference.training.card_text import CARD_TEXT_NAME, card_text
from inference.training.dataset import Records
from inference.training.describe import ABLATION_NAME, RHYTHM_NAME, describe
from inference.training.evaluate import figures_of
from inference.training.judged import judge

Synthetic = Callable[..., Records]
PICTURES = (RELIABILITY_NAME, RISK_NAME, ROC_NAME)


@pytest.fixture(scope="module")
def records(synthetic: Synthetic) -> Records:
    some: Records = synthetic(60)
    return replace(some, fold=np.full(60, 9))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released network, as if served for both leads."""
    folder = tmp_path_factory.mktemp("weights")
    shutil.copy(RELEASED_WEIGHTS / MODEL_NAME, folder)
    card = decode_card((RELEASED_WEIGHTS / CARD_NAME).read_bytes())
    one = next(iter(card.by_lead.values()))
    (folder / CARD_NAME).write_bytes(encode_card(replace(card, by_lead={"I": one, "II": one})))
    return folder


@pytest.fixture(scope="module")
def card(records: Records, weights: Path) -> Card:
    """Theirs, with figures of synthetic recordings."""
    both = Classifier.load(weights)
    figures = {lead: figures_of(both, records, lead, judge(both, records, lead), 20) for lead in ("I", "II")}
    called = {"n": 9, "norm_present": 0.25, "norm_absent": 0.5, "abnormal": 0.625}
    normal: dict[str, Any] = {
        "n": 9,
        "refused": 0.0,
        "upright": None,
        "without_gate": called,
        "with_gate": called,
        "with_gate_upright": called,
    }
    return replace(both.card, figures=figures, external={"handheld": {"normal rhythm": normal}})


ABLATION: list[dict[str, Any]] = [
    {
        "variant": "lag only",
        "parameters": 1234,
        "mmac": 24.3,
        "I": {"macro_auroc": 0.8512, "ci95": [0.84, 0.86]},
        "II": {"macro_auroc": 0.87, "ci95": [0.86, 0.88]},
    }
]
_EACH = dict.fromkeys("NAO~", 0.7)
RHYTHM: dict[str, Any] = {
    "version": "rhythm-1-x",
    "parameters": 5678,
    "mmac": 13.3,
    "recordings": 90,
    "folds": 5,
    "f1": _EACH,
    "mean_f1": 0.8034,
    "ci95": {"mean_f1": [0.79, 0.81], "f1": {key: [0.6, 0.8] for key in "NAO~"}},
    "window": {"f1": _EACH, "mean_f1": 0.7, "auroc": _EACH, "called_af": _EACH, "called_noisy": _EACH},
}


def test_a_card_survives_its_file(card: Card) -> None:
    again = decode_card(encode_card(card))
    assert again.by_lead == card.by_lead
    assert again.figures == json.loads(json.dumps(card.figures))


def test_the_page_prints_both_leads_what_is_weak_and_what_it_was_given(card: Card) -> None:
    page = card_text(card, ABLATION, RHYTHM)
    for lead, figures in card.figures.items():
        assert f"## Lead {lead}: fold 9" in page
        assert f"Infarction from lead {lead} is weak: AUROC {figures['auroc']['MI']:.2f}" in page
    assert "| lag only | 1,234 | 24 | 0.851 (0.840 to 0.860) | 0.870 (0.860 to 0.880) |" in page
    assert "0.803 (0.790 to 0.810)" in page
    assert "labelled normal, 62% are called abnormal once 0% of them are refused" in page
    assert "sex: female" in page
    for name in PICTURES:
        assert f"({name})" in page
    assert "None" not in page
    assert "nan" not in page.split()


def test_the_page_leaves_out_what_there_is_not(card: Card) -> None:
    page = card_text(replace(card, external={"handheld": None}))
    assert "Off the ward" not in page
    assert "## Rhythm" not in page
    assert "What each part" not in page


def test_every_table_of_the_page_is_whole(card: Card) -> None:
    width = 0
    for line in card_text(card, ABLATION, RHYTHM).splitlines():
        cells = line.count("|") if line.startswith("|") else 0
        assert not (width and cells) or cells == width, line
        width = cells


def test_pictures_are_small_and_the_same_each_time(tmp_path: Path, records: Records, weights: Path) -> None:
    judged = judge(Classifier.load(weights), records, "I")
    both = {"I": judged, "II": replace(judged, targets=judged.targets * 0)}  # a lead without any finding
    first = [path.read_bytes() for path in draw_pictures(both, tmp_path / "a")]
    second = [path.read_bytes() for path in draw_pictures(both, tmp_path / "b")]
    assert first == second
    assert sum(len(content) for content in first) <= 150_000
    assert len(set(first)) == len(PICTURES)


def test_weights_get_their_card_and_nothing_else_of_them_changes(
    tmp_path: Path, records: Records, weights: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    weights = Path(shutil.copytree(weights, tmp_path / "weights"))
    (run / ABLATION_NAME).write_text(json.dumps(ABLATION))
    before = Classifier.load(weights).card
    written = describe(weights, records, data=tmp_path, run=run, rounds=10)
    after = Classifier.load(weights).card  # still the file its card describes
    assert after.by_lead == before.by_lead
    assert after.figures["I"]["macro_auroc"] == written.figures["I"]["macro_auroc"]
    assert after.external == {"handheld": None}
    page = (weights / CARD_TEXT_NAME).read_text()
    assert "lag only" in page
    assert not (run / RHYTHM_NAME).exists()
    assert all((weights / name).is_file() for name in PICTURES)


def test_cells_say_what_is_not_known() -> None:
    assert (number(None), share(None), span(None)) == ("--", "--", "")
    assert (number(0.85339), share(0.125), span([0.1, 0.25], 2)) == ("0.853", "12%", "(0.10 to 0.25)")
    assert markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert each_value({"x": {"y": [1, 2]}, "z": None}) == "|  |  |\n| --- | --- |\n| x y | 1, 2 |\n| z | -- |"
