"""No combination of facts makes a narrative that contradicts itself, invents, or stays silent."""

import gc
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.narrative.__main__ import table
from inference.narrative.facts import ABNORMAL, Advice, Facts, RateBand, facts_of
from inference.narrative.narrative import Narrative, narrate
from inference.narrative.recording import facts_of_recording
from inference.narrative.sentences import SENTENCES, Section
from inference.recordings.summary import Summary
from inference.verdict import Finding, Indeterminate, Presence, Rhythm, RhythmFinding, Superclass, Verdict
from ingest.quality import SignalState
from ingest.recordings import Format
from ingest.vitals import Vitals
from tests.inference.narrative.wards import all_facts, facts, findings

PAGE = Path(__file__).parents[3] / "docs" / "narrative.md"
P, U, A = Presence.PRESENT, Presence.UNCERTAIN, Presence.ABSENT
HEALTHY = (P, A, A, A, A)
# What a sentence about a finding says of it, present or not sure.
NAMES = {
    Superclass.MI: "after a heart attack|had a heart attack",
    Superclass.STTC: "heart recovers",
    Superclass.CD: "impulse",
    Superclass.HYP: "thickened",
}


@pytest.fixture(scope="module")
def told() -> Iterator[list[tuple[Facts, Narrative]]]:
    gc.disable()  # 700,000 objects without a cycle, walked again and again
    yield [(each, narrate(each)) for each in all_facts()]
    gc.enable()


def keys(narrative: Narrative) -> list[str]:
    return [each.key for each in narrative.sentences]


def test_every_row_is_reached_and_no_key_twice(told: list[tuple[Facts, Narrative]]) -> None:
    rows = [each.key for each in SENTENCES]
    assert len(rows) == len(set(rows))
    assert {key for _, narrative in told for key in keys(narrative)} == set(rows)


def test_nobody_reads_normal_beside_a_finding_or_when_nothing_was_judged(
    told: list[tuple[Facts, Narrative]],
) -> None:
    for each, narrative in told:
        seen = narrative.of(Section.SEEN).lower()
        if each.those(P) or each.has_af or not each.is_judged:
            assert "normal" not in seen, each
        assert "healthy" not in seen


def test_each_finding_is_told_once_as_what_it_is(told: list[tuple[Facts, Narrative]]) -> None:
    for each, narrative in told:
        said = keys(narrative)
        for superclass in ABNORMAL:
            name = superclass.lower()
            assert (f"{name}-present" in said) == each.has(superclass, P)
            assert (f"{name}-uncertain" in said) == each.has(superclass, U)
            mentions = len(re.findall(NAMES[superclass], narrative.of(Section.SEEN)))
            assert mentions == (each.has(superclass, P) or each.has(superclass, U)), each


def test_unknown_stays_unknown(told: list[tuple[Facts, Narrative]]) -> None:
    for each, narrative in told:
        said = keys(narrative)
        assert ("rate-unknown" in said) == (each.heart_rate_bpm is None)
        assert ("beats a minute" in narrative.text) == (each.heart_rate_bpm is not None)
        assert ("rhythm-unknown" in said) == (each.rhythm is None)
        assert any(key.startswith("cannot-tell") for key in said) == (each.indeterminate is not None)
        assert ("not-judged" in said) == (not each.is_judged and each.indeterminate is None)
        assert (
            any(key.startswith(("norm-", *(f"{s.lower()}-" for s in ABNORMAL))) for key in said)
            <= each.is_judged
        )


def test_the_rhythm_is_told_once(told: list[tuple[Facts, Narrative]]) -> None:
    rhythm = ("rhythm-", "af-regular", "af-possible")
    for _, narrative in told:
        said = [key for key in keys(narrative) if key.startswith(rhythm) or key == "af"]
        assert len(said) == 1


def test_no_number_is_said_that_is_not_a_fact(told: list[tuple[Facts, Narrative]]) -> None:
    for each, narrative in told:
        known = {f"{100 * finding.probability:.0f}" for finding in each.findings}
        if each.rhythm_probability is not None:
            known.add("88")
        if each.heart_rate_bpm is not None:
            known.add(f"{each.heart_rate_bpm:.0f}")
        if each.length_s is not None:
            known |= {f"{each.length_s / part:.0f}" for part in (1, 60, 3600)}
        if each.readable_share is not None:
            known.add(f"{100 * each.readable_share:.0f}")
        assert set(re.findall(r"\d+", narrative.text)) <= known, narrative.text
        assert "{" not in narrative.text
        assert "  " not in narrative.text


def test_the_limits_stand_always_and_advice_is_one(told: list[tuple[Facts, Narrative]]) -> None:
    advice = {f"when-{each.name.lower()}" for each in Advice}
    for each, narrative in told:
        said = keys(narrative)
        assert {"one-lead", "research", "emergency"} <= set(said)
        assert [key for key in said if key in advice] == [f"when-{each.advice.name.lower()}"]
        assert ("hint" in said) == (bool(each.those(P)) or each.has_af)


def test_nothing_asks_for_a_doctor_only_where_all_is_known_and_well(
    told: list[tuple[Facts, Narrative]],
) -> None:
    for each, narrative in told:
        if "when-none" in keys(narrative):
            assert each.findings
            assert [f.presence for f in each.findings if f.superclass is not Superclass.NORM] == [A] * 4
            assert each.finding(Superclass.NORM).presence is P  # type: ignore[union-attr]
            assert (each.rhythm, each.band, each.irregular or False) == (Rhythm.NORMAL, RateBand.USUAL, False)
            assert each.signal in (None, SignalState.GOOD)


def test_it_stays_short(told: list[tuple[Facts, Narrative]]) -> None:
    assert max(len(narrative.text.split()) for _, narrative in told) <= 340
    usual = narrate(facts(HEALTHY, (Rhythm.NORMAL, True), 72.0))
    assert len(usual.text.split()) <= 160


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (facts(HEALTHY, (Rhythm.NORMAL, True), 72.0), Advice.NONE),
        (facts(HEALTHY, (Rhythm.NORMAL, True), 39.4), Advice.TODAY),
        (facts(HEALTHY, (Rhythm.NORMAL, True), 39.6), Advice.VISIT),
        (facts(HEALTHY, (Rhythm.NORMAL, True), 150.4), Advice.VISIT),
        (facts(HEALTHY, (Rhythm.NORMAL, True), 151.0), Advice.TODAY),
        (facts(HEALTHY, (Rhythm.AF, True), 72.0), Advice.SOON),
        (facts(HEALTHY, (Rhythm.AF, False), 72.0), Advice.VISIT),
        (facts((A, P, A, A, A), (Rhythm.NORMAL, True), 72.0), Advice.SOON),
        (facts((A, A, A, P, A), (Rhythm.NORMAL, True), 72.0), Advice.VISIT),
        (facts(indeterminate=Indeterminate.NOISY), Advice.AGAIN),
        (facts(indeterminate=Indeterminate.NOISY, rhythm=(Rhythm.AF, True)), Advice.SOON),
        (facts(HEALTHY, (None, True), 72.0), Advice.AGAIN),
        (facts(HEALTHY, (Rhythm.NORMAL, True), 72.0, readable_share=0.4), Advice.AGAIN),
    ],
)
def test_the_first_advice_that_applies_is_given(given: Facts, advice: Advice) -> None:
    assert given.advice is advice


def test_a_rate_is_called_what_its_own_number_says() -> None:
    for rate in (39.5, 39.4, 59.5, 59.4, 100.4, 100.6, 150.4, 150.6):
        text = narrate(facts(HEALTHY, rate=rate)).text
        number = int(re.findall(r"rate is (\d+)", text)[0])
        assert ("very slow" in text) == (number < 40)
        assert ("usual at rest" in text) == (60 <= number <= 100)
        assert ("very fast" in text) == (number > 150)


def test_a_verdict_and_vitals_become_facts() -> None:
    rhythm = tuple(
        RhythmFinding(each, share, 0.8 if each is Rhythm.AF else None)
        for each, share in zip(Rhythm, (0.2, 0.7, 0.05, 0.05), strict=True)
    )
    verdict = Verdict(
        "a/b", 1, 0, 0, "m", 0, historic=False, findings=findings(HEALTHY), rhythm=rhythm, lead="II"
    )
    vitals = Vitals("a/b", 1, 0, 0, 64.4, 0.5, SignalState.GOOD, irregular=False)
    found = facts_of(verdict, vitals)
    assert (found.rhythm, found.rhythm_is_sure, found.heart_rate_bpm, found.lead) == (
        Rhythm.AF,
        False,
        64.4,
        "II",
    )
    assert facts_of(None, None) == Facts(length_s=None)
    assert "not known" in narrate(facts_of(None, None)).text


@pytest.mark.parametrize(("share", "key"), [(0.9, "af"), (0.5, "af-possible")])
def test_a_finished_recording_becomes_facts(share: float, key: str) -> None:
    rest = (1 - share) / 3
    rhythm = tuple(
        RhythmFinding(each, share if each is Rhythm.AF else rest, 0.8 if each is Rhythm.AF else None)
        for each in Rhythm
    )
    summary = Summary(
        file="f", format=Format.APPLE, identity="i", start=None, local_start=None, length_s=30.0, fs=512.0,
        lead_told="I", lead="I", device="Watch of Anna", readable_share=0.7, windows=5, windows_voting=4,
        reasons={}, heart_rate_bpm=None, lowest_rate_bpm=None, highest_rate_bpm=None, beats=0,
        findings=findings(HEALTHY), indeterminate=None, rhythm=rhythm, main_rhythm=Rhythm.AF,
        is_abnormal=True, vendor_verdict="Sinus Rhythm", vendor_rate_bpm=60.0, notes=(), other_leads=(),
        model="m",
    )  # fmt: skip
    told = narrate(facts_of_recording(summary))
    assert {"read", "partly-readable", key, "rate-unknown"} <= set(keys(told))
    assert "Only 70 %" in told.text
    assert "Anna" not in told.text


def test_what_no_verdict_can_be_is_refused() -> None:
    with pytest.raises(ValueError, match="want one for each of NORM"):
        Facts(length_s=1.0, findings=(Finding(Superclass.MI, 0.5, 0.5, P),))
    with pytest.raises(ValueError, match="want one of them"):
        facts(HEALTHY, indeterminate=Indeterminate.FLAT)
    with pytest.raises(ValueError, match="heart rate is 0"):
        facts(HEALTHY, rate=0.0)
    with pytest.raises(ValueError, match=r"readable_share is 1\.5"):
        facts(HEALTHY, readable_share=1.5)


def test_the_page_holds_the_table_as_it_is_and_how_much_was_tried(
    told: list[tuple[Facts, Narrative]],
) -> None:
    """`python -m inference.narrative` prints it."""
    page = PAGE.read_text("utf-8")
    assert table() in page
    assert f"{len(told):,} combinations" in page
