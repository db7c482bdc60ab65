"""A verdict says something, or says why not."""

import msgspec
import pytest

from inference.verdict import Finding, Indeterminate, Presence, Superclass, Verdict

FINDINGS = tuple(Finding(s, 0.25, 0.5, Presence.ABSENT) for s in Superclass)


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
def test_decoding_an_encoded_verdict_gives_it_back(fields: dict[str, object]) -> None:
    before = verdict(**fields)
    assert msgspec.json.decode(msgspec.json.encode(before), type=Verdict) == before


def test_a_verdict_that_says_nothing_is_refused_on_the_wire() -> None:
    payload = msgspec.json.encode(verdict(findings=FINDINGS)).replace(b'"findings":[', b'"findings_":[')
    with pytest.raises(msgspec.ValidationError, match="a verdict needs findings or a reason"):
        msgspec.json.decode(payload, type=Verdict)
