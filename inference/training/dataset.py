"""Recorded ECGs on disk become arrays: PTB-XL as published, its compact arrays, or what `prepare` wrote.

Three layouts of a directory are recognised, in this order:
    records.npz                                    written by `save_records`
    ptbxl_100hz_*.npz with ptbxl_labels_*.csv      compact arrays: int16 uV as first differences
    ptbxl_database.csv with records100/            PTB-XL 1.0.3 as on PhysioNet (Wagner 2020, CC BY 4.0)
Only records with at least one diagnostic superclass are kept; the task is multi-label.
"""

import ast
import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.verdict import Superclass

LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")  # the eight independent ones
UV_PER_MV = 1000.0
PTBXL_LEADS = 12  # stored order I II III aVR aVL aVF V1-V6, int16, 1000 units a mV
PREPARED_NAME = "records.npz"


class DatasetError(Exception):
    """A directory that holds no recordings this program can read."""


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Ten-second recordings with their superclasses; row i of each array is one recording."""

    ecg_uv: NDArray[np.int16]  # (n, 8, 1000) at 100 Hz, leads as LEADS
    targets: NDArray[np.float32]  # (n, 5) of 0 and 1 in Superclass order
    fold: NDArray[np.int64]  # (n,) 1..10, patient-wise (strat_fold)
    patient: NDArray[np.int64]  # (n,)
    ecg_id: NDArray[np.int64]  # (n,)

    def __len__(self) -> int:
        return len(self.ecg_id)

    def of_folds(self, folds: Iterable[int]) -> "Records":
        """The recordings of some folds."""
        rows = np.isin(self.fold, list(folds))
        return Records(
            self.ecg_uv[rows], self.targets[rows], self.fold[rows], self.patient[rows], self.ecg_id[rows]
        )

    def lead_mv(self, lead: str) -> NDArray[np.float32]:
        """All recordings of one lead -> (n, 1000) mV."""
        return np.asarray(self.ecg_uv[:, LEADS.index(lead)] / np.float32(UV_PER_MV), dtype=np.float32)


def load_records(directory: Path) -> Records:
    """Directory -> its labelled recordings in order of ecg_id; DatasetError where none can be read."""
    if (directory / PREPARED_NAME).is_file():
        with np.load(directory / PREPARED_NAME) as stored:
            return Records(**{name: stored[name] for name in Records.__dataclass_fields__})
    if arrays := sorted(directory.glob("ptbxl_100hz_*.npz")):
        return _load_compact(arrays, sorted(directory.glob("ptbxl_labels_*.csv")))
    if (directory / "ptbxl_database.csv").is_file():
        return _load_physionet(directory)
    raise DatasetError(
        f"{directory} holds no recordings: want {PREPARED_NAME}, ptbxl_100hz_*.npz or ptbxl_database.csv"
    )


def save_records(records: Records, directory: Path) -> Path:
    """Write records where `load_records` finds them; returns the file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / PREPARED_NAME
    arrays = {name: getattr(records, name) for name in Records.__dataclass_fields__}
    np.savez_compressed(path, **arrays)
    return path


def _load_compact(arrays: list[Path], tables: list[Path]) -> Records:
    labels = {int(row["ecg_id"]): row for table in tables for row in _rows(table)}
    ecg, rows = [], []
    for path in arrays:
        with np.load(path) as stored:
            ids = stored["ecg_id"]
            if tuple(stored["leads"]) != LEADS:
                raise DatasetError(f"{path} has leads {' '.join(stored['leads'])}, want {' '.join(LEADS)}")
            dx = stored["dx"]
        keep = [i for i, n in enumerate(ids) if int(n) in labels and labels[int(n)]["super_class"]]
        ecg.append(np.cumsum(dx[keep], axis=-1, dtype=np.int16))
        rows += [labels[int(ids[i])] for i in keep]
    if not rows:
        raise DatasetError(f"none of {', '.join(p.name for p in arrays)} has labels in {len(tables)} tables")
    return _records(np.concatenate(ecg), rows, [ast.literal_eval(row["super_class"]) for row in rows])


def _load_physionet(directory: Path) -> Records:
    statements = {
        row[""]: row["diagnostic_class"]
        for row in _rows(directory / "scp_statements.csv")
        if row["diagnostic_class"]
    }
    ecg, rows, classes = [], [], []
    for row in _rows(directory / "ptbxl_database.csv"):
        codes = ast.literal_eval(row["scp_codes"])  # any likelihood counts, as in the PTB-XL benchmark
        found = sorted({statements[code] for code in codes if code in statements})
        if found:
            ecg.append(_read_dat(directory / f"{row['filename_lr']}.dat"))
            rows.append(row)
            classes.append(found)
    if not rows:
        raise DatasetError(f"{directory} names no recording with a diagnostic superclass")
    return _records(np.stack(ecg), rows, classes)


def _read_dat(path: Path) -> NDArray[np.int16]:
    """WFDB format 16 of PTB-XL -> (8, 1000) uV."""
    interleaved = np.fromfile(path, dtype="<i2")
    if interleaved.size != PTBXL_LEADS * 1000:
        raise DatasetError(f"{path} has {interleaved.size} values, want {PTBXL_LEADS} leads x 1000")
    ecg = interleaved.reshape(1000, PTBXL_LEADS)
    return np.ascontiguousarray(ecg[:, [0, 1, *range(6, 12)]].transpose())


def _records(ecg_uv: NDArray[np.int16], rows: list[dict[str, str]], classes: list[list[str]]) -> Records:
    targets = np.array([[name in found for name in Superclass] for found in classes], dtype=np.float32)
    ecg_id = np.array([int(row["ecg_id"]) for row in rows], dtype=np.int64)
    fold = np.array([int(row["strat_fold"]) for row in rows], dtype=np.int64)
    patient = np.array([int(float(row["patient_id"])) for row in rows], dtype=np.int64)
    order = np.argsort(ecg_id, kind="stable")
    return Records(ecg_uv[order], targets[order], fold[order], patient[order], ecg_id[order])


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise DatasetError(f"{path} is missing")
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))
