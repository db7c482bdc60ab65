"""A card with its figures becomes the page people read (model card; Mitchell et al. 2019), never by hand."""

from typing import Any

from inference.card import Card

CARD_TEXT_NAME = "card.md"

_PAGE = """\
# Model card: {version}

Written by `python -m inference.training export`; every figure comes from the evaluation.

**Research and education only. Not a medical device; nothing here is a diagnosis.**

## What it is
Ten seconds of lead {leads} in, five probabilities out: the PTB-XL diagnostic superclasses (multi-label).
The signal is resampled to {fs:g} Hz with anti-aliasing, filtered {low:g}-{high:g} Hz without phase shift, and
kept in mV. A recurrence plot in lag form, x[t] - x[t - k] for
k = {lags} samples,
signed, and softly thresholded at two scales, is built inside the graph; a one-dimensional residual network
reads the plot and nothing else. {parameters:,} parameters, {mmac:g} million multiply-adds a window.
Greatest difference of a logit between the trained network and this file: {parity:.1e}.

## Data
PTB-XL 1.0.3 (Wagner et al. 2020, PhysioNet), CC BY 4.0: clinical 12-lead recordings at rest. Lead {leads} is
used; the other leads as single leads in the first {pretrain_epochs} of {epochs_done} epochs. Trained on the
{n_train} recordings of folds 1-8 that have a superclass, split by patient. The last epoch was taken: none was
picked by a figure. Fold {folds} served to watch the training and choose between recipes, and to calibrate.
Fold 10 was not read.

## Figures on fold {folds}
{n} recordings of {patients} patients; 95 % intervals over patients. Whatever depends on calibration is
cross-fitted: each patient is judged by a calibration fitted on other patients only. As recipes
were compared on this fold, expect slightly less on new patients of the same hospitals.

Macro-AUROC **{macro:.3f}** ({macro_low:.3f} to {macro_high:.3f}).
The quality gate lets {coverage:.1%} of the recordings through.

| | prevalence | AUROC (95 %) | AUPRC | F1 | ECE | Brier | uncertain | missed | false |
|---|---|---|---|---|---|---|---|---|---|
{rows}

*uncertain*: between the limits; *missed*: called absent, of those with the finding; *false*: called present,
of those without. The limits are set for 10 % of each.

{handheld}## Limits, plainly
- Infarction from one lead is weak: AUROC {mi:.2f}, and {mi_found:.0%} of those with it are called present.
  Lead I sees the lateral wall; an inferior or anterior infarction can leave it normal. "MI absent" rules
  nothing out.
- Hypertrophy rests on few examples ({hyp:.0%} of recordings): AUROC {hyp_area:.2f}, with a wide interval.
- Trained on clinical resting recordings with gel electrodes, from one group of hospitals. Wearables have dry
  electrodes and move; no AUROC here was measured on a wearable.
- Rhythm is not among the five: atrial fibrillation without a superclass has no right answer here.
- Lead {leads} only: other leads are refused. An inverted lead (swapped electrodes) is not detected.
- Probabilities hold for the mix of findings in this fold, where half of the patients are ill. At home far
  fewer are, and the true share among "present" is lower than stated.
"""


_HANDHELD = """\
## Off the ward
The middle 10 s of {n} handheld recordings (PhysioNet/CinC Challenge 2017; Clifford et al. 2017, ODC-By 1.0),
never trained on. Their labels are rhythms, so only two things can be asked: does the gate refuse the noisy
ones, and is a normal rhythm called a normal ECG?

| label | n | refused | largest waves up | NORM present | uncertain | absent | of upright: present | absent |
|---|---|---|---|---|---|---|---|---|
{rows}

Read it as a warning: fewer normal recordings are called normal here than on the ward, and those taken upside
down (waves pointing down) are mostly called abnormal.

"""


def card_text(card: Card) -> str:
    """Card with figures -> Markdown page."""
    figures = next(iter(card.figures.values()))
    low, high = figures["ci95"]["macro_auroc"]
    return _PAGE.format(
        version=card.version,
        leads=" and ".join(card.by_lead),
        fs=card.fs,
        low=card.band_hz[0],
        high=card.band_hz[1],
        lags=", ".join(str(lag) for lag in card.lags),
        parameters=card.parameters,
        mmac=card.mmac,
        parity=card.parity,
        pretrain_epochs=card.recipe["pretrain_epochs"],
        epochs_done=card.recipe["epochs_done"],
        folds=", ".join(str(fold) for fold in card.calibration_folds),
        n=figures["n"],
        patients=figures["patients"],
        macro=figures["macro_auroc"],
        macro_low=low,
        macro_high=high,
        coverage=figures["coverage"],
        n_train=card.recipe["n_train"],
        handheld=_handheld(card.external.get("handheld")),
        mi=figures["auroc"]["MI"],
        mi_found=figures["called_present_of_those_with"]["MI"],
        hyp_area=figures["auroc"]["HYP"],
        hyp=figures["prevalence"]["HYP"],
        rows="\n".join(_row(figures, name) for name in card.classes),
    )


def _row(figures: dict[str, Any], name: str) -> str:
    low, high = figures["ci95"]["auroc"][name]
    cells = (
        name,
        f"{figures['prevalence'][name]:.2f}",
        f"{figures['auroc'][name]:.3f} ({low:.3f} to {high:.3f})",
        *(f"{figures[key][name]:.3f}" for key in ("auprc", "f1", "ece", "brier")),
        *(
            f"{figures[key][name]:.0%}"
            for key in ("uncertain", "called_absent_of_those_with", "called_present_of_those_without")
        ),
    )
    return f"| {' | '.join(cells)} |"


def _handheld(figures: dict[str, Any] | None) -> str:
    if not figures:
        return ""
    rows = "\n".join(_handheld_row(label, one) for label, one in figures.items())
    return _HANDHELD.format(n=sum(one["n"] for one in figures.values()), rows=rows)


def _handheld_row(label: str, one: dict[str, Any]) -> str:
    norm, upright = one["norm"] or {}, one["norm_upright"] or {}
    shares = (
        one["refused"],
        one["upright"],
        norm.get("present"),
        norm.get("uncertain"),
        norm.get("absent"),
        upright.get("present"),
        upright.get("absent"),
    )
    cells = (label, str(one["n"]), *("--" if share is None else f"{share:.0%}" for share in shares))
    return f"| {' | '.join(cells)} |"
