"""What a summary knows of a whole recording -> the facts of which a narrative speaks."""

from inference.narrative.facts import Facts
from inference.recordings.summary import Summary
from ingest.vitals import RATE_RANGE_BPM


def facts_of_summary(summary: Summary) -> Facts:
    """Facts of the whole recording."""
    named = next((each for each in summary.rhythm if each.rhythm is summary.main_rhythm), None)
    is_sure = named is None or named.threshold is None or named.probability >= named.threshold
    rate_bpm = summary.heart_rate_bpm
    if rate_bpm is not None and not RATE_RANGE_BPM[0] <= rate_bpm <= RATE_RANGE_BPM[1]:
        rate_bpm = None
    return Facts(
        length_s=summary.length_s,
        readable_share=summary.readable_share,
        lead=summary.lead,
        lead_inferred=summary.lead is not None and summary.lead_told != summary.lead,
        findings=summary.findings,
        indeterminate=summary.indeterminate,
        rhythm=summary.main_rhythm,
        rhythm_probability=None if named is None else named.probability,
        rhythm_is_sure=is_sure,
        heart_rate_bpm=rate_bpm,
    )
