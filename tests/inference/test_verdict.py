"""A verdict says something, or says why not."""

import msgspec
import pytest

from inference.verdict import (
    Finding,
    Indeterminate,
    Presence,
    Rhythm,
    RhythmFinding,
    Superclass,
    Verdict,
)

FINDINGS = tuple(Finding(s, 0.25, 0.5, Presence.ABSENT) for s in Superclass)
RHYTHM = tuple(RhythmFinding(r, 0.25) for r in Rhythm)
READ = {"rhythm": RHYTHM, "lead": "II", "lead_inferred": True}


def verdict(**fields: object) -> Verdict:
    known = {
        "device": "ward/bed-1",
        "session": 7,
        "first_sample": 5120,
        "wall_time_us": 1,
        "model": "m1",
        "decided_us": 2,
        "historic": False,
    }
    return msgspec.convert({**known, **fields}, Verdict)


def test_a_verdict_has_findings_or_a_reason_never_both_never_neither() -> None:
    assert verdict(findings=FINDINGS).indeterminate is None
    assert verdict(indeterminate="noisy").findings == ()
    with pytest.raises(ValueError, match="not both and not neither: got 0 findings and None"):
        verdict()
    with pytest.raises(ValueError, match="got 5 findings and"):
        verdict(findings=FINDINGS, indeterminate="noisy")


@pytest.mark.parametrize("fields", [{"findings": FINDINGS}, *({"indeterminate": i} for i in Indeterminate)])
@pytest.mark.parametrize("read", [READ, {}], ids=["read", "not read"])
def test_decoding_an_encoded_verdict_gives_it_back(
    fields: dict[str, object], read: dict[str, object]
) -> None:
    before = verdict(**fields, **read)
    assert msgspec.json.decode(msgspec.json.encode(before), type=Verdict) == before


def test_a_verdict_that_says_nothing_is_refused_on_the_wire() -> None:
    payload = msgspec.json.encode(verdict(findings=FINDINGS)).replace(b'"findings":[', b'"findings_":[')
    with pytest.raises(msgspec.ValidationError, match="a verdict needs findings or a reason"):
        msgspec.json.decode(payload, type=Verdict)


def test_a_verdict_has_all_rhythms_in_order_or_none() -> None:
    assert verdict(findings=FINDINGS, rhythm=RHYTHM).rhythm == RHYTHM
    with pytest.raises(ValueError, match="one finding for each of normal rhythm"):
        verdict(findings=FINDINGS, rhythm=RHYTHM[::-1])
    with pytest.raises(ValueError, match="in this order"):
        verdict(findings=FINDINGS, rhythm=RHYTHM[:1])


def test_a_verdict_of_before_rhythm_and_lead_still_decodes() -> None:
    payload = (
        b'{"device":"ward/bed-1","session":7,"first_sample":5120,"wall_time_us":1,"model":"m1","decided_us":2,'
        b'"historic":false,"findings":[],"indeterminate":"noisy"}'
    )
    decoded = msgspec.json.decode(payload, type=Verdict)
    assert (decoded.rhythm, decoded.lead, decoded.lead_inferred) == ((), None, False)
