"""A card with its figures becomes the page people read (model card; Mitchell et al. 2019), never by hand."""

from collections.abc import Mapping
from typing import Any

from inference.card import Card
from inference.training.card_pictures import RELIABILITY_NAME, RISK_NAME, ROC_NAME
from inference.training.card_tables import (
    ablation_table,
    each_value,
    markdown,
    number,
    rhythm_table,
    share,
    span,
)

CARD_TEXT_NAME = "card.md"

_HEAD = """\
# Model card: {version}

Written by the training's `card` step; every figure comes from the evaluation.

**Research and education only. Not a medical device; nothing here is a diagnosis.**

## What it is
Ten seconds of one lead ({leads}) in, five probabilities out: the PTB-XL diagnostic superclasses, multi-label
(NORM normal, MI infarction, STTC ST/T change, CD conduction disturbance, HYP hypertrophy). The signal is
resampled to {fs:g} Hz with anti-aliasing, filtered {low:g}-{high:g} Hz without phase shift, and kept in mV.
Two recurrence plots are built inside the graph: the lag plot (lags {lags}
samples) and the plot of the mean beat, 64 x 64. Each is read by a network of its own, which reads nothing
else, and the two answer by their mean. {parameters:,} parameters, {mmac:g} million multiply-adds a window.
Greatest difference of a logit between torch and this file: {parity:.1e}; by keeping the weights at half
precision: {rounding:.1e}. It also tells whether the lead looks upside down ("electrodes swapped"), and
which lead it is where the device did not say; where that is unsure, no findings are given.

## Intended use
To learn, to teach and to do research on live single-lead ECG: what a model says, how sure it may be, and when
it must say nothing. Findings are advisory. Not for diagnosis, not for deciding on treatment, not for watching
a patient; not for children (PTB-XL has hardly any), leads other than {leads}, or less than 10 s.

## Data and licences
Trained and calibrated on PTB-XL 1.0.3 (Wagner et al. 2020, PhysioNet; CC BY 4.0): clinical 12-lead
recordings at rest, each lead read on its own, patients apart: folds 1-8 to train and choose with ({n_train}
recordings with a superclass), fold {folds} to calibrate on and to report once. Fold 10 was not read. Handheld
recordings: PhysioNet/CinC Challenge 2017 (Clifford et al. 2017; ODC-By 1.0). The trunk was pre-trained
without labels on folds 1-8, these handheld recordings and the MIT-BIH Arrhythmia Database (Moody & Mark 2001;
ODC-By 1.0), with noise of the MIT-BIH Noise Stress Test Database (Moody et al. 1984; ODC-By 1.0).
Weights: GPL-3.0.
"""

_PICTURES = f"""\
![Reliability: stated probability against observed share, by class and lead]({RELIABILITY_NAME})

Bars: what chance allows each point with perfect probabilities (95 %).

![ROC curves by class and lead]({ROC_NAME})

![Share of wrong answers against the share of windows decided, by class and lead]({RISK_NAME})

The likelier answer of each class, given only where it is most certain: what is gained by refusing the rest.
"""

_CALIBRATION = """\
*ECE* is over ten equally full bins, *wide* over fifteen equally wide ones. *Chance* is the ECE that perfect
probabilities would show at this number of recordings (mean of 1,000 draws, and what 95 % of them stay below):
an ECE below it only says that nothing is known to be wrong. *Uncertain*: between the limits; *missed*: called
absent, of those with the finding; *false*: called present, of those without. The limits promise at most 10 %
of each. *Error*: wrong, of those decided.
"""

_ABLATION = """\
## What each part of the plots is worth
Variants trained alike for a short while on folds 1-7 and judged on fold 8; differences within the intervals
mean little.

{table}
"""

_RHYTHM = """\
## Rhythm
A network of its own ({version}: {parameters:,} parameters, {mmac:g} million multiply-adds) names the rhythm
of any 10 s: N normal, A atrial fibrillation (AF), O other, ~ noisy. Cross-validated on {recordings:,}
handheld recordings (CinC 2017) in {folds} folds by recording; how windows are combined into a recording was
chosen after all answers were seen, which flatters the first row by about .01.

{table}

AF is called where it is the likeliest and at or above a limit that at most 1 % of N and O windows reach.
Windows called noisy get no findings.
"""

_HANDHELD = """\
## Off the ward
The middle 10 s of {n} handheld recordings (CinC 2017). Their labels are rhythms, so only this can be asked:
are the noisy ones refused, and how often is a normal rhythm called abnormal? *Refused*: by the quality gate,
as noisy by the rhythm network, or as electrodes swapped. *Abnormal*: a normal ECG is called absent, or any of
the other four present.

{rows}

**Of recordings labelled normal, {abnormal} are called abnormal once {refused} of them are refused; without
refusing any {without}.** A normal rhythm can still have an abnormal ECG, so not all of these are errors;
the last column leaves out what looks upside down (largest waves pointing down).
"""

_LIMITS = """\
## Limits, plainly
{infarction}
- Hypertrophy rests on few examples ({hyp} of recordings): AUROC {hyp_area}, with a wide interval.
- Trained on clinical resting recordings with gel electrodes, from one group of hospitals. Wearables have dry
  electrodes and move; no AUROC here was measured on a wearable.
- Rhythm is not among the five: atrial fibrillation without a superclass has no right answer here.
- Probabilities hold for the mix of findings in this fold, where half of the patients are ill. At home far
  fewer are, and the true share among "present" is lower than stated.
- At a few hundred recordings chance alone gives a calibration error like most of those above: see *chance*.
"""


def card_text(card: Card, ablation: Any = None, rhythm: Any = None) -> str:
    """Card with figures -> Markdown page.

    Args:
        card: its `figures` by lead and its `external` figures are printed.
        ablation: rows of the ablation table, a list of objects; None where there is none.
        rhythm: figures of the rhythm head, objects of numbers; None where there are none.
    """
    leads = list(card.figures)
    first = card.figures[leads[0]]
    handheld = card.external.get("handheld")
    parts = [
        _HEAD.format(
            version=card.version,
            leads=" or ".join(card.by_lead),
            fs=card.fs,
            low=card.band_hz[0],
            high=card.band_hz[1],
            lags=", ".join(str(lag) for lag in card.lags),
            parameters=card.parameters,
            mmac=card.mmac,
            parity=card.parity,
            rounding=card.rounding,
            folds=", ".join(str(fold) for fold in card.calibration_folds),
            n_train=card.recipe.get("n_train", "?"),
        ),
        *(_lead_section(lead, card.figures[lead]) for lead in leads),
        _CALIBRATION,
        _PICTURES,
        _subgroups(card.figures),
        _handheld(handheld) if handheld else "",
        _ABLATION.format(table=ablation_table(ablation)) if ablation else "",
        _RHYTHM.format(table=rhythm_table(rhythm), **rhythm) if rhythm else "",
        _LIMITS.format(
            infarction="\n".join(_infarction(lead, figures) for lead, figures in card.figures.items()),
            hyp=share(first["prevalence"]["HYP"]),
            hyp_area=" and ".join(
                f"{number(one['auroc']['HYP'], 2)} from lead {lead}" for lead, one in card.figures.items()
            ),
        ),
        f"## Recipe\n{each_value(card.recipe)}",
    ]
    return "\n".join(part for part in parts if part)


def _lead_section(lead: str, figures: Mapping[str, Any]) -> str:
    risk, folds = figures["risk"], ", ".join(str(fold) for fold in figures["folds"])
    of_passed, of_refused = (share(risk["gate"][key]) for key in ("error_of_passed", "error_of_refused"))
    decided, error = (share(risk["served"][key]) for key in ("decided", "error"))
    header = (
        *("", "prevalence", "AUROC (95 %)", "AUPRC", "F1", "Brier"),
        *("ECE", "chance: mean, 95 %", "wide", "uncertain", "missed", "false", "error"),
    )
    rows = [_class_row(figures, name) for name in figures["auroc"]]
    return f"""\
## Lead {lead}: fold {folds}
{figures["n"]} recordings of {figures["patients"]} patients; 95 % intervals over patients.
Calibration: {figures["calibration"]}.

Macro-AUROC **{number(figures["macro_auroc"])}** {span(figures["ci95"]["macro_auroc"])}.
The quality gate lets {share(figures["coverage"])} of the recordings through; the likelier answer is wrong in
{of_passed} of the questions (recording and class) on these, and in {of_refused} on the refused. With gate and
limits {decided} of all questions are answered present or absent, {error} of the answers wrong.

{markdown(header, rows)}
"""


def _class_row(figures: Mapping[str, Any], name: str) -> list[str]:
    return [
        name,
        number(figures["prevalence"][name], 2),
        f"{number(figures['auroc'][name])} {span(figures['ci95']['auroc'][name])}",
        *(number(figures[key][name]) for key in ("auprc", "f1", "brier", "ece")),
        f"{number(figures['ece_floor'][name])}, {number(figures['ece_floor95'][name])}",
        number(figures["ece_equal_width"][name]),
        share(figures["uncertain"][name]),
        share(figures["called_absent_of_those_with"][name]),
        share(figures["called_present_of_those_without"][name]),
        share(figures["risk"]["error_of_decided"][name]),
    ]


def _subgroups(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """One row a group; macro-AUROC and its interval, and the five classes, for each lead."""
    leads = list(figures)
    names = list(figures[leads[0]]["auroc"])
    header = ["", "n", *(cell for lead in leads for cell in (f"lead {lead}: macro (95 %)", *names))]
    rows = []
    for row in zip(*(figures[lead]["subgroups"] for lead in leads), strict=True):
        cells = [f"{row[0]['by']}: {row[0]['group']}", str(row[0]["n"])]
        for one in row:
            cells.append(f"{number(one['macro_auroc'])} {span(one['ci95']['macro_auroc'])}".strip())
            cells += [number(one["auroc"][name]) for name in names]
        rows.append(cells)
    return f"""\
## Whom does it serve worse?
AUROC; `--` with fewer than ten recordings with or without the finding. Those of whom age, sex or pacemaker is
unknown are in no such group. The number of recordings is of lead {leads[0]}: rate and quality differ by lead.

{markdown(header, rows)}
"""


def _handheld(figures: Mapping[str, Mapping[str, Any]]) -> str:
    header = (
        *("label", "n", "refused", "largest waves up", "NORM present", "NORM absent", "abnormal"),
        *("abnormal without gate", "abnormal, upright only"),
    )
    rows = [
        [
            label,
            str(one["n"]),
            share(one["refused"]),
            share(one["upright"]),
            *(share(one["with_gate"][key]) for key in ("norm_present", "norm_absent", "abnormal")),
            share(one["without_gate"]["abnormal"]),
            share(one["with_gate_upright"]["abnormal"]),
        ]
        for label, one in figures.items()
    ]
    normal = figures.get("normal rhythm")
    if normal is None:
        return ""
    return _HANDHELD.format(
        n=sum(one["n"] for one in figures.values()),
        rows=markdown(header, rows),
        abnormal=share(normal["with_gate"]["abnormal"]),
        refused=share(normal["refused"]),
        without=share(normal["without_gate"]["abnormal"]),
    )


def _infarction(lead: str, figures: Mapping[str, Any]) -> str:
    area, precision, prevalence, uncertain = (
        figures[key]["MI"] for key in ("auroc", "auprc", "prevalence", "uncertain")
    )
    present, absent = (figures[f"called_{answer}_of_those_with"]["MI"] for answer in ("present", "absent"))
    return f"""\
- Infarction from lead {lead} is weak: AUROC {number(area, 2)} {span(figures["ci95"]["auroc"]["MI"], 2)},
  AUPRC {number(precision, 2)} where {share(prevalence)} have it. Of those with it {share(present)} are called
  present and {share(absent)} absent; {share(uncertain)} of all recordings stay uncertain. An infarction that
  faces other leads can leave this one normal: "MI absent" rules nothing out."""
