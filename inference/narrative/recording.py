"""What is said of a finished recording (`inference/recordings/`) -> facts."""

from inference.narrative.facts import Facts
from inference.recordings.summary import Summary


def facts_of_recording(summary: Summary) -> Facts:
    """The whole of it. Its rhythm is the one that is named there; nothing is known of its newest seconds."""
    named = next((each for each in summary.rhythm if each.rhythm is summary.main_rhythm), None)
    is_below = named is not None and named.threshold is not None and named.probability < named.threshold
    return Facts(
        length_s=summary.length_s,
        readable_share=summary.readable_share,
        lead=summary.lead,
        lead_inferred=summary.lead is not None and summary.lead != summary.lead_told,
        findings=summary.findings,
        indeterminate=summary.indeterminate,
        rhythm=summary.main_rhythm,
        rhythm_probability=None if named is None else named.probability,
        rhythm_is_sure=not is_below,
        heart_rate_bpm=summary.heart_rate_bpm,
    )
