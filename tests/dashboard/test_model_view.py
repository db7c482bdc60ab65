"""The page of the model says what the card says, and nothing where there is none."""

import json
import shutil
from pathlib import Path

import pytest

from dashboard.model_view import (
    ModelCardError,
    class_figures,
    group_figures,
    of_100,
    picture_path,
    plain_figures,
    read_card,
    thresholds,
)
from dashboard.pages.model import card_of, text_of
from dashboard.texts import model as texts
from inference.card import decode_card
from inference.released import CARD_NAME, MODEL_NAME, RELEASED_WEIGHTS
from tests.dashboard.test_pages import tree


def test_the_figures_are_those_of_the_card() -> None:
    card = read_card(RELEASED_WEIGHTS)
    whole = decode_card((RELEASED_WEIGHTS / CARD_NAME).read_bytes())
    assert card.is_file_right
    for each in class_figures(card.facts):
        figures = whole.figures[each.lead]
        assert each.auroc == figures["auroc"][each.superclass]
        assert each.found == figures["called_present_of_those_with"][each.superclass]
        assert each.auroc_95 is not None
        assert each.auroc is not None
        assert each.auroc_95[0] <= each.auroc <= each.auroc_95[1]
    for superclass, lead, absent, present, line in thresholds(card.facts):
        served = whole.by_lead[lead].served.classes[whole.classes.index(superclass)]
        assert (absent, present, line) == (served.absent_below, served.present_above, served.threshold)
    assert [each.group for each in group_figures(card.facts, "I")][:2] == ["sex: female", "sex: male"]
    plain = plain_figures(card)
    mi = whole.figures["I"]["called_present_of_those_with"]["MI"]
    assert plain["mi_present_i"] == f"{100 * mi:.0f}"
    handheld = whole.external["handheld"]["normal rhythm"]
    assert plain["handheld_abnormal"] == f"{100 * handheld['with_gate']['abnormal']:.0f}"


def test_every_number_of_the_plain_words_comes_from_the_card() -> None:
    figures = plain_figures(read_card(RELEASED_WEIGHTS))
    for words in texts.PLAIN.values():
        assert "{" not in words.format(**figures)
    used = "".join(texts.PLAIN.values())
    assert all(f"{{{name}" in used for name in figures)


def test_the_pictures_of_the_card_are_there_and_nothing_else_of_the_folder() -> None:
    text = read_card(RELEASED_WEIGHTS).text or ""
    pictures = [part.split(")")[0] for part in text.split("](/data/card/")[1:]]
    assert len(pictures) == 3
    assert all(picture_path(RELEASED_WEIGHTS, each) is not None for each in pictures)
    for hostile in ("../card.json", "model.onnx", "card.json", "", ".png", "a/../card_roc.png", "%2e%2e"):
        assert picture_path(RELEASED_WEIGHTS, hostile) is None


def test_a_page_of_the_released_card_has_every_part() -> None:
    sections = card_of(RELEASED_WEIGHTS)
    labels = [p["aria-label"] for p in tree(sections) if "aria-label" in p]
    assert labels == [
        texts.IN_FORCE_TITLE,
        texts.PLAIN_TITLE,
        texts.CLASSES_TITLE,
        texts.LIMITS_TITLE,
        texts.RHYTHM_TITLE,
        texts.GROUPS_TITLE.format(lead="I"),
        texts.GROUPS_TITLE.format(lead="II"),
    ]


def test_the_whole_card_comes_when_it_is_opened(tmp_path: Path) -> None:
    assert "![" in str(text_of(RELEASED_WEIGHTS))
    assert "![" not in str(card_of(RELEASED_WEIGHTS))
    assert "cannot be read" in str(text_of(tmp_path))
    shutil.copy(RELEASED_WEIGHTS / CARD_NAME, tmp_path)
    shutil.copy(RELEASED_WEIGHTS / MODEL_NAME, tmp_path)
    assert texts.CARD_MISSING in str(text_of(tmp_path))


def test_weights_without_a_card_or_with_another_file_say_so(tmp_path: Path) -> None:
    with pytest.raises(ModelCardError):
        read_card(tmp_path)
    assert "cannot be read" in str(card_of(tmp_path)[0])
    shutil.copy(RELEASED_WEIGHTS / CARD_NAME, tmp_path)
    (tmp_path / MODEL_NAME).write_bytes(b"another")
    card = read_card(tmp_path)
    assert (card.is_file_right, card.rhythm, card.text) == (False, None, None)
    facts = json.loads((tmp_path / CARD_NAME).read_text())
    del facts["external"]
    (tmp_path / CARD_NAME).write_text(json.dumps(facts))
    assert "cannot be read" in str(card_of(tmp_path)[0])


@pytest.mark.parametrize(
    ("share", "words"), [(0.4854, "49"), (0.0022, "less than 1"), (0.0, "0"), (1.0, "100")]
)
def test_shares_are_told_of_a_hundred(share: float, words: str) -> None:
    assert of_100(share) == words
