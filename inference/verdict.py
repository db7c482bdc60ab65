"""What the model says about one window: five findings, or why it cannot tell."""

from dataclasses import dataclass
from enum import StrEnum


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
    UNSUPPORTED_LEAD = "lead not supported"  # the model was trained on lead I
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
class Verdict:
    """The answer to one window. Either five findings in Superclass order, or a reason and none."""

    device: str  # "site/device"
    session: int
    first_sample: int
    wall_time_us: int  # of the window's first sample
    model: str  # version of the weights
    decided_us: int  # wall clock of the decision
    historic: bool
    findings: tuple[Finding, ...] = ()
    indeterminate: Indeterminate | None = None

    def __post_init__(self) -> None:
        """A verdict has findings or a reason, never both, never neither."""
        if bool(self.findings) == (self.indeterminate is not None):
            raise ValueError(
                f"a verdict needs findings or a reason, not both and not neither: got "
                f"{len(self.findings)} findings and {self.indeterminate!r}"
            )
