"""PTB-XL 1.0.3 as on PhysioNet (Wagner et al. 2020, CC BY 4.0), read with the wfdb library."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from inference.preprocess import MODEL_FS, MODEL_SAMPLES, bridge, resample
from inference.training.labels import DatasetError, Label, label_of_physionet, read_table

DATABASE_NAME = "ptbxl_database.csv"
STATEMENTS_NAME = "scp_statements.csv"
UV_PER_UNIT = {"V": 1e6, "mV": 1e3, "uV": 1.0}


def read_physionet(directory: Path, leads: tuple[str, ...]) -> tuple[NDArray[np.int16], list[Label]]:
    """Directory with ptbxl_database.csv -> (n, leads, 1000) uV at 100 Hz and n labels, as its rows stand.

    The 100 Hz version of a recording is taken where it is there, else the 500 Hz version is resampled.

    Raises:
        DatasetError: a table, a recording or a lead is missing, or a recording cannot be read.
    """
    rows = read_table(directory / DATABASE_NAME)
    statements = {row[""]: row for row in read_table(directory / STATEMENTS_NAME)}
    ecg_uv = np.zeros((len(rows), len(leads), MODEL_SAMPLES), dtype=np.int16)
    labels = []
    for i, row in enumerate(tqdm(rows, desc="reading recordings", unit="", leave=False)):
        path, native = _record_path(directory, row)
        ecg_uv[i] = read_record(path, leads)
        labels.append(label_of_physionet(row, statements, native100=float(native)))
    return ecg_uv, labels


def read_record(path: Path, leads: tuple[str, ...]) -> NDArray[np.int16]:
    """A ten-second WFDB record, named without suffix -> (leads, 1000) uV at 100 Hz.

    Args:
        path: record at 100 Hz or more; holes in it are bridged by straight lines.
        leads: names to take, in this order; the record's may be in any order and case.
    """
    wfdb: Any = importlib.import_module("wfdb")  # brings pandas: a second that other layouts need not wait
    try:
        record = wfdb.rdrecord(str(path))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as a WFDB record ({error})") from error
    column = {name.upper(): i for i, name in enumerate(record.sig_name)}
    missing = [lead for lead in leads if lead.upper() not in column]
    if missing or record.fs < MODEL_FS or record.sig_len != round(10 * record.fs):
        raise DatasetError(
            f"{path} has leads {' '.join(record.sig_name)} and {record.sig_len} samples at {record.fs} Hz, "
            f"want {' '.join(leads)} and 10 s at {MODEL_FS:g} Hz or more"
        )
    chosen = [column[lead.upper()] for lead in leads]
    scale = [UV_PER_UNIT.get(record.units[c], np.nan) for c in chosen]
    if np.isnan(scale).any():
        raise DatasetError(f"{path} is in {' '.join(record.units)}, want {', '.join(UV_PER_UNIT)}")
    signals = [
        bridge(record.p_signal[:, c].astype(np.float64) * s)[0] for c, s in zip(chosen, scale, strict=True)
    ]
    if record.fs != MODEL_FS:
        signals = [resample(signal, float(record.fs), MODEL_SAMPLES) for signal in signals]
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(np.stack(signals)), limits.min, limits.max).astype(np.int16)


def _record_path(directory: Path, row: dict[str, str]) -> tuple[Path, bool]:
    """The record to read, and whether it is the database's own 100 Hz version."""
    low = directory / row["filename_lr"]
    if low.with_suffix(".hea").is_file():
        return low, True
    high = directory / row.get("filename_hr", "")
    if high.with_suffix(".hea").is_file():
        return high, False
    raise DatasetError(f"recording {row['ecg_id']} is at neither {low}.hea nor {high}.hea")
