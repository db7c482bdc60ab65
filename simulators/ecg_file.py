"""A simulated patient -> a file of a finished recording, which any reader of tables reads without a guess."""

from pathlib import Path

import numpy as np
from numpy.random import Generator

from ingest.chunk import Lead
from simulators.patients import build_patient

LENGTHS_S = (5.0, 60.0)


def write_ecg(path: Path, name: str, seconds: float, rng: Generator, *, lead: Lead | None = None) -> None:
    """Write `seconds` of the patient of that name (`build_patient`), in whole microvolts.

    Raises ValueError for an unknown name or another length, OSError where it cannot be written.
    """
    low, high = LENGTHS_S
    if not low <= seconds <= high:
        raise ValueError(f"seconds is {seconds:g}, want {low:g} to {high:g}")
    patient = build_patient(name, rng, lead=lead)
    samples_uv = np.rint(patient.next_samples(round(seconds * patient.fs)) * 1000).astype(np.int64)
    head = f"# Simulated: {patient.description}\n# fs: {patient.fs:g} Hz\n{patient.lead.name} [uV]\n"
    path.write_text(head + "\n".join(map(str, samples_uv.tolist())) + "\n", encoding="ascii")
