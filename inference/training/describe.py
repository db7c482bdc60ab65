"""Weights on disk get their card: figures, the page people read, and its pictures. Nothing is fitted here."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from inference.card import CARD_NAME, Card, encode_card
from inference.classifier import Classifier
from inference.training.card_pictures import draw_pictures
from inference.training.card_text import CARD_TEXT_NAME, card_text
from inference.training.dataset import Records
from inference.training.evaluate import BOOTSTRAP_ROUNDS, figures_of
from inference.training.handheld import handheld_figures
from inference.training.judged import judge

ABLATION_NAME, RHYTHM_NAME = "ablation.json", "rhythm.json"


def describe(
    weights_dir: Path, records: Records, data: Path, run: Path, rounds: int = BOOTSTRAP_ROUNDS
) -> Card:
    """Judge the weights on the calibration folds and write card.json, card.md and the pictures beside them.

    Args:
        weights_dir: model.onnx and a card.json, with or without figures.
        records: all folds; those of calibration are judged, cross-fitted.
        data: directory that may hold handheld recordings.
        run: directory that may hold `ablation.json` and `rhythm.json`, or stand beside the directories
            `ablation` and `rhythm` that do.
        rounds: draws for the intervals.
    """
    classifier = Classifier.load(weights_dir)
    chosen = records.of_folds(classifier.card.calibration_folds)
    judged = {lead: judge(classifier, chosen, lead) for lead in classifier.card.by_lead}
    card = replace(
        classifier.card,
        figures={lead: figures_of(classifier, chosen, lead, one, rounds) for lead, one in judged.items()},
        external={"handheld": handheld_figures(classifier, data)},
    )
    (weights_dir / CARD_NAME).write_bytes(encode_card(card))
    ablation = _read(run / ABLATION_NAME, run.parent / "ablation" / ABLATION_NAME)
    page = card_text(card, ablation, _read(run / RHYTHM_NAME, run.parent / "rhythm" / RHYTHM_NAME))
    (weights_dir / CARD_TEXT_NAME).write_text(page, encoding="utf-8")
    draw_pictures(judged, weights_dir)
    return card


def _read(*places: Path) -> Any:
    """The JSON of the first place that has a file, or None."""
    found = next((path for path in places if path.is_file()), None)
    return None if found is None else json.loads(found.read_text(encoding="utf-8"))
