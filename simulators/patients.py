"""A patient's name, such as `replay:MI` or `sinus:HYP` -> an endless ECG."""

from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ingest.chunk import Lead
from simulators.noise import RESTLESS, Noise, NoiseLevels
from simulators.replay import Replay, recordings
from simulators.rhythms import RHYTHMS
from simulators.waveform import MORPHOLOGIES, SyntheticPatient

SYNTHETIC_FS = 500.0


class Patient(Protocol):
    """An endless single-lead ECG with known R peaks."""

    fs: float  # Hz
    lead: Lead
    source: str  # "replay" of a recording, or "synthetic"
    description: str

    def next_samples(self, n: int) -> NDArray[np.float32]:
        """The next n samples, mV, shape (n,)."""
        ...

    def truth_r_peaks(self) -> NDArray[np.int64]:
        """Sample indices of the R peaks so far, the newest 10,000."""
        ...


def patient_names() -> list[str]:
    """Every name `build_patient` knows."""
    replays = [f"replay:{label}" for label in recordings()]
    return replays + [f"{rhythm}:{superclass}" for rhythm in RHYTHMS for superclass in MORPHOLOGIES]


def build_patient(
    name: str, rng: Generator, index: int = 0, *, lead: Lead | None = None, is_restless: bool = False
) -> Patient:
    """A patient by name: `replay:LABEL`, `RHYTHM` or `RHYTHM:SUPERCLASS`.

    `index` chooses among the recordings of a label, `lead` (I or II) among a recording's leads: its first by
    default. A synthetic patient is lead I unless told; its waves are the same in both. A restless one moves
    the electrode. Raises ValueError for an unknown name, or a lead that was not recorded.
    """
    kind, _, detail = name.partition(":")
    if kind == "replay" and detail in recordings():
        those = recordings()[detail]
        return Replay(those[index % len(those)], rng, lead)
    if kind in RHYTHMS and (detail or "NORM") in MORPHOLOGIES:
        noise = Noise(RESTLESS if is_restless else NoiseLevels(), rng.spawn(1)[0], SYNTHETIC_FS)
        patient = SyntheticPatient(RHYTHMS[kind](rng), noise, rng, SYNTHETIC_FS, detail or "NORM")
        patient.lead = lead or patient.lead
        return patient
    raise ValueError(
        f"unknown patient {name!r}: want replay:LABEL with LABEL one of {', '.join(recordings())}, "
        f"or RHYTHM[:SUPERCLASS] with RHYTHM one of {', '.join(RHYTHMS)} "
        f"and SUPERCLASS one of {', '.join(MORPHOLOGIES)}"
    )
