"""The card beside the weights -> figures and words for people; pure but for reading the folder.

The card is read as plain JSON: its records in inference/card.py bring the calibration's own fitting along.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from inference.released import CARD_NAME, CARD_TEXT_NAME, MODEL_NAME, RHYTHM_CARD_NAME

LEADS = ("I", "II")
PICTURE = re.compile(r"[a-z0-9_]{1,40}\.png")
ROUTE = "/data/card/"
Interval = tuple[float, float]


class ModelCardError(ValueError):
    """The card cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What lies in the folder of the weights."""

    facts: Mapping[str, Any]  # card.json
    rhythm: Mapping[str, Any] | None  # rhythm.json
    text: str | None  # card.md, its pictures at ROUTE
    is_file_right: bool  # the model's file has the checksum that the card says


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One finding from one lead, of recordings that the calibration never met."""

    superclass: str
    lead: str
    auroc: float | None
    auroc_95: Interval | None
    prevalence: float | None
    found: float | None  # called present, of those with it
    missed: float | None  # called absent, of those with it
    false: float | None  # called present, of those without
    uncertain: float | None


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """AUROC of one group of people from one lead; None with too few of them."""

    group: str  # "sex: female"
    n: int
    macro_auroc: float | None
    macro_95: Interval | None
    auroc: Mapping[str, float | None]


def read_card(folder: Path) -> ModelCard:
    """The card of the weights in a folder; raises ModelCardError."""
    try:
        facts = msgspec.json.decode((folder / CARD_NAME).read_bytes(), type=dict[str, Any])
        checksum = hashlib.sha256((folder / MODEL_NAME).read_bytes()).hexdigest()
        rhythm, text = folder / RHYTHM_CARD_NAME, folder / CARD_TEXT_NAME
        return ModelCard(
            facts,
            msgspec.json.decode(rhythm.read_bytes(), type=dict[str, Any]) if rhythm.is_file() else None,
            _with_routes(text.read_text("utf-8")) if text.is_file() else None,
            checksum == facts["sha256"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelCardError(str(error)) from error


def picture_path(folder: Path, name: str) -> Path | None:
    """A picture of the card, by its name alone; None where there is none such."""
    path = folder / name
    return path if PICTURE.fullmatch(name) and path.is_file() else None


def class_figures(facts: Mapping[str, Any]) -> Iterator[ClassFigures]:
    """By finding, then by lead."""
    for superclass in facts["classes"]:
        for lead in LEADS:
            figures = facts["figures"].get(lead)
            if figures is None:
                continue
            yield ClassFigures(
                superclass,
                lead,
                figures["auroc"][superclass],
                _interval(figures["ci95"]["auroc"][superclass]),
                figures["prevalence"][superclass],
                figures["called_present_of_those_with"][superclass],
                figures["called_absent_of_those_with"][superclass],
                figures["called_present_of_those_without"][superclass],
                figures["uncertain"][superclass],
            )


def thresholds(facts: Mapping[str, Any]) -> Iterator[tuple[str, str, float, float, float]]:
    """(finding, lead, absent below, present above, threshold), as served."""
    for place, superclass in enumerate(facts["classes"]):
        for lead in LEADS:
            if lead in facts["by_lead"]:
                limits = facts["by_lead"][lead]["served"]["classes"][place]
                yield superclass, lead, limits["absent_below"], limits["present_above"], limits["threshold"]


def group_figures(facts: Mapping[str, Any], lead: str) -> Iterator[GroupFigures]:
    """Every group of the card, of one lead."""
    for each in facts["figures"].get(lead, {}).get("subgroups", []):
        yield GroupFigures(
            f"{each['by']}: {each['group']}",
            each["n"],
            each["macro_auroc"],
            _interval(each["ci95"]["macro_auroc"]),
            each["auroc"],
        )


def plain_figures(card: ModelCard) -> dict[str, Any]:
    """The numbers of the plain words, shares of 100; raises KeyError where a card lacks one."""
    one, two = (card.facts["figures"][lead] for lead in LEADS)
    handheld = card.facts["external"]["handheld"]["normal rhythm"]
    called_af = (card.rhythm or {})["figures"]["window"]["called_af"]
    uncertain = one["uncertain"]
    return {
        "mi_present_i": of_100(one["called_present_of_those_with"]["MI"]),
        "mi_present_ii": of_100(two["called_present_of_those_with"]["MI"]),
        "mi_absent_i": of_100(one["called_absent_of_those_with"]["MI"]),
        "mi_absent_ii": of_100(two["called_absent_of_those_with"]["MI"]),
        "hyp_share": of_100(one["prevalence"]["HYP"]),
        "hyp_auroc_i": auroc(one["auroc"]["HYP"]),
        "hyp_auroc_ii": auroc(two["auroc"]["HYP"]),
        "uncertain_least": of_100(min(uncertain.values())),
        "uncertain_most": of_100(max(uncertain.values())),
        "uncertain_class": max(uncertain, key=uncertain.__getitem__),
        "af_found": of_100(called_af["A"]),
        "af_false_normal": of_100(called_af["N"]),
        "af_false_other": of_100(called_af["O"]),
        "handheld_n": handheld["n"],
        "handheld_refused": of_100(handheld["refused"]),
        "handheld_abnormal": of_100(handheld["with_gate"]["abnormal"]),
    }


def of_100(share: float) -> str:
    """.4854 -> 49; what is more than none and less than one says so."""
    return "less than 1" if 0 < share < 0.005 else f"{100 * share:.0f}"


def auroc(value: float | None) -> str:
    """.81, or -- where it is unknown."""
    return "--" if value is None else f"{value:.2f}".removeprefix("0")


def _interval(pair: Any) -> Interval | None:
    return None if pair is None else (float(pair[0]), float(pair[1]))


def _with_routes(text: str) -> str:
    """The pictures of the card where this server has them."""
    return re.sub(r"\]\(([a-z0-9_]{1,40}\.png)\)", rf"]({ROUTE}\1)", text)
