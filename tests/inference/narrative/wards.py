"""Facts of every kind, for the laws of the narrative."""

from collections.abc import Iterator
from itertools import product

from inference.narrative.facts import Facts
from inference.verdict import Finding, Indeterminate, Presence, Rhythm, Superclass
from ingest.quality import SignalState

PROBABILITY = {Presence.PRESENT: 0.71, Presence.UNCERTAIN: 0.43, Presence.ABSENT: 0.07}
RATES = (None, 33.2, 51.8, 72.4, 128.6, 171.9)
IRREGULAR = (None, False, True)
SIGNALS = (None, *SignalState)
# (rhythm, whether it is sure)
RHYTHMS = ((None, True), *((rhythm, True) for rhythm in Rhythm), (Rhythm.AF, False))


def findings(presences: tuple[Presence, ...]) -> tuple[Finding, ...]:
    return tuple(
        Finding(superclass, PROBABILITY[presence], 0.5, presence)
        for superclass, presence in zip(Superclass, presences, strict=True)
    )


def facts(
    presences: tuple[Presence, ...] = (),
    rhythm: tuple[Rhythm | None, bool] = (None, True),
    rate: float | None = None,
    irregular: bool | None = None,  # noqa: FBT001 - three states, as in Facts
    *,
    signal: SignalState | None = None,
    indeterminate: Indeterminate | None = None,
    **other: object,
) -> Facts:
    told: dict[str, object] = {"length_s": 10.0, "lead": "I", **other}
    return Facts(
        findings=findings(presences) if presences else (),
        rhythm=rhythm[0],
        rhythm_is_sure=rhythm[1],
        rhythm_probability=None if rhythm[0] is None else 0.88,
        heart_rate_bpm=rate,
        irregular=irregular,
        signal=signal,
        indeterminate=indeterminate,
        **told,  # type: ignore[arg-type]
    )


def all_facts() -> Iterator[Facts]:
    """Findings x presences x rhythms x rates x irregularity; reasons and signals with the rest."""
    every = list(product(Presence, repeat=5))
    for presences, rhythm, rate, irregular in product(every, RHYTHMS, RATES, IRREGULAR):
        yield facts(presences, rhythm, rate, irregular)
    for presences, signal, rate in product(every, SIGNALS, (None, 72.4)):
        yield facts(presences, (Rhythm.NORMAL, True), rate, signal=signal)
    for reason, rhythm, rate, irregular, signal in product(
        (None, *Indeterminate), RHYTHMS, RATES, IRREGULAR, SIGNALS
    ):
        yield facts((), rhythm, rate, irregular, signal=signal, indeterminate=reason)
    for lead, inferred, length_s, share in product(
        (None, "II"), (False, True), (None, 10.0, 30.0, 300.0, 90_000.0), (None, 0.2, 0.7, 1.0)
    ):
        yield facts(
            every[0], (Rhythm.NORMAL, True), 72.4, length_s=length_s, lead=lead, lead_inferred=inferred,
            readable_share=share,
        )  # fmt: skip
