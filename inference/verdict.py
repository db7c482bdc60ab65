"""What the model says about one window: five findings and the rhythm, or why it cannot tell."""

from dataclasses import dataclass
from enum import StrEnum

from ingest.chunk import Place


class Superclass(StrEnum):
    """PTB-XL diagnostic superclasses; a recording can have several (Wagner et al. 2020)."""

    NORM = "NORM"
    MI = "MI"
    STTC = "STTC"
    CD = "CD"
    HYP = "HYP"


SUPERCLASS_NAMES = {
    Superclass.NORM: "normal ECG",
    Superclass.MI: "myocardial infarction",
    Superclass.STTC: "ST/T change",
    Superclass.CD: "conduction disturbance",
    Superclass.HYP: "hypertrophy",
}


class Rhythm(StrEnum):
    """Rhythm classes of the PhysioNet/CinC Challenge 2017 (Clifford et al. 2017); a window has one."""

    NORMAL = "normal rhythm"
    AF = "atrial fibrillation"
    OTHER = "other rhythm"
    NOISY = "noisy"


class Presence(StrEnum):
    """A finding against its calibrated limits."""

    PRESENT = "present"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"


class Indeterminate(StrEnum):
    """Why a window has no findings; the words are shown to people."""

    MISSING_DATA = "missing data"
    LEAD_OFF = "lead off"
    FLAT = "flat"
    SATURATED = "saturated"
    NOISY = "noisy"
    UNSUPPORTED_LEAD = "lead not supported"  # the told lead is outside the model's training
    UNKNOWN_LEAD = "lead not recognised"  # the device did not tell the lead, and the model is not sure
    INVERTED = "electrodes swapped"  # the told lead looks upside down
    UNSUPPORTED_RATE = (
        "sampling rate not supported"  # too low for the model's band, or a window of another length
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One superclass in one window."""

    superclass: Superclass
    probability: float  # calibrated, 0..1
    threshold: float  # frozen at calibration; at or above counts as found
    presence: Presence


@dataclass(frozen=True, slots=True)
class RhythmFinding:
    """One rhythm class in one window.

    Only Rhythm.AF carries a `threshold`: the frozen limit at or above which the window speaks for an
    AF alarm, if AF is also its most probable class. The other classes only share the probability.
    """

    rhythm: Rhythm
    probability: float  # calibrated, 0..1; the four of a window sum to 1
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one window. Either five findings in Superclass order, or a reason and none.

    `rhythm` has one finding for each class in Rhythm order, or none where no network read the window.
    It may come with a reason, for instance where the rhythm network is why a window is noisy.
    `lead` and `lead_inferred` say how the model read the window; older verdicts do not tell.
    """

    device: str  # "site/device"
    session: int
    first_sample: int
    wall_time_us: int  # of the window's first sample
    model: str  # version of the weights
    decided_us: int  # wall clock of the decision
    historic: bool
    findings: tuple[Finding, ...] = ()
    indeterminate: Indeterminate | None = None
    rhythm: tuple[RhythmFinding, ...] = ()
    lead: str | None = None  # the lead as which the window was read: "I" or "II"
    lead_inferred: bool = False  # the device did not tell the lead; the model recognised it

    @property
    def place(self) -> Place:
        """That of its window."""
        return self.device, self.session, self.first_sample

    def __post_init__(self) -> None:
        """A verdict has findings or a reason, never both, never neither; and all rhythms or none."""
        if self.rhythm and tuple(finding.rhythm for finding in self.rhythm) != tuple(Rhythm):
            raise ValueError(
                f"a verdict's rhythm needs one finding for each of {', '.join(Rhythm)}, in this order, "
                f"or none: got {[str(finding.rhythm) for finding in self.rhythm]}"
            )
        if bool(self.findings) == (self.indeterminate is not None):
            raise ValueError(
                f"a verdict needs findings or a reason, not both and not neither: got "
                f"{len(self.findings)} findings and {self.indeterminate!r}"
            )
