"""Recorded ECGs on disk become arrays: PTB-XL as published, its compact arrays, or what `prepare` wrote.

Three layouts of a directory are recognised, in this order:
    records.npz                                    written by `save_records`
    ptbxl_100hz_*.npz with ptbxl_labels_*.csv      compact arrays: int16 uV as first differences
    ptbxl_database.csv with records100/ or 500/    PTB-XL 1.0.3 as on PhysioNet (Wagner 2020, CC BY 4.0)
The task is multi-label. Recordings without a superclass are read too, and left out unless asked for.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.preprocess import prepare_batch
from inference.training.labels import (
    FORMS,
    RHYTHMS,
    SUBCLASSES,
    DatasetError,
    Label,
    label_of_compact,
    read_table,
)
from inference.training.physionet import DATABASE_NAME, read_physionet
from inference.verdict import Superclass

LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")  # the eight independent ones
UV_PER_MV = 1000.0
PREPARED_NAME = "records.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Ten-second recordings and what is known of them; row i of each array is one recording.

    A number that is not known is NaN: never 0, never an age of 300. The rows of the 0/1 matrices
    `sub_class`, `form` and `rhythm` mean something only where the `*_known` beside them is True.
    """

    ecg_uv: NDArray[np.int16]  # (n, 8, 1000) at 100 Hz, leads as LEADS
    targets: NDArray[np.float32]  # (n, 5) of 0 and 1 in Superclass order; all 0 without a superclass
    fold: NDArray[np.int64]  # (n,) 1..10, patient-wise (strat_fold)
    patient: NDArray[np.int64]  # (n,)
    ecg_id: NDArray[np.int64]  # (n,)
    age_years: NDArray[np.float32]  # (n,) 90 is 90 or more
    male: NDArray[np.float32]  # (n,) 1 or 0
    pacemaker: NDArray[np.float32]  # (n,) 1 or 0
    native100: NDArray[np.float32]  # (n,) 1: recorded at 100 Hz by the database; 0: resampled to it here
    sub_class: NDArray[np.float32]  # (n, 23) columns as SUBCLASSES
    sub_class_known: NDArray[np.bool_]  # (n,) has a diagnostic statement
    form: NDArray[np.float32]  # (n, 19) columns as FORMS
    form_known: NDArray[np.bool_]  # (n,) has any statement: forms are remarked only where there is one
    rhythm: NDArray[np.float32]  # (n, 12) columns as RHYTHMS
    rhythm_known: NDArray[np.bool_]  # (n,) has a rhythm statement

    def __len__(self) -> int:
        return len(self.ecg_id)

    @property
    def has_label(self) -> NDArray[np.bool_]:
        """(n,) whether the recording has a superclass."""
        return np.asarray(self.targets.any(axis=1))

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Records":
        """Some recordings, by mask or index."""
        return Records(**{one.name: getattr(self, one.name)[chosen] for one in fields(self)})

    def of_folds(self, folds: Iterable[int]) -> "Records":
        """The recordings of some folds."""
        return self.rows(np.isin(self.fold, list(folds)))

    def lead_mv(self, lead: str) -> NDArray[np.float32]:
        """All recordings of one lead -> (n, 1000) mV."""
        return np.asarray(self.ecg_uv[:, LEADS.index(lead)] / np.float32(UV_PER_MV), dtype=np.float32)


def load_records(directory: Path, *, unlabelled: bool = False) -> Records:
    """Directory -> its recordings in order of ecg_id.

    Args:
        directory: in one of the three layouts.
        unlabelled: whether to keep recordings without a superclass.

    Raises:
        DatasetError: none can be read.
    """
    records = _load(directory)
    return records if unlabelled else records.rows(records.has_label)


def save_records(records: Records, directory: Path) -> Path:
    """Write records where `load_records` finds them; returns the file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / PREPARED_NAME
    np.savez_compressed(path, **{one.name: getattr(records, one.name) for one in fields(records)})
    return path


def records_of(ecg_uv: NDArray[np.int16], labels: Sequence[Label]) -> Records:
    """(n, 8, 1000) uV and n labels, in any order -> records in order of ecg_id."""
    order = np.argsort([one.ecg_id for one in labels], kind="stable")
    ordered = [labels[i] for i in order]

    def numbers(name: str) -> NDArray[np.float32]:
        return np.array([getattr(one, name) for one in ordered], dtype=np.float32)

    def whole(name: str) -> NDArray[np.int64]:
        return np.array([getattr(one, name) for one in ordered], dtype=np.int64)

    return Records(
        ecg_uv=ecg_uv if np.array_equal(order, np.arange(len(order))) else ecg_uv[order],
        targets=_matrix([one.superclasses for one in ordered], tuple(Superclass)),
        fold=whole("fold"),
        patient=whole("patient"),
        ecg_id=whole("ecg_id"),
        age_years=numbers("age_years"),
        male=numbers("male"),
        pacemaker=numbers("pacemaker"),
        native100=numbers("native100"),
        sub_class=_matrix([one.subclasses for one in ordered], SUBCLASSES),
        sub_class_known=np.array([bool(one.subclasses) for one in ordered], dtype=np.bool_),
        form=_matrix([one.forms for one in ordered], FORMS),
        form_known=np.array(
            [bool(one.superclasses or one.subclasses or one.forms or one.rhythms) for one in ordered],
            dtype=np.bool_,
        ),
        rhythm=_matrix([one.rhythms for one in ordered], RHYTHMS),
        rhythm_known=np.array([bool(one.rhythms) for one in ordered], dtype=np.bool_),
    )


def _matrix(found: Sequence[Collection[str]], names: Sequence[str]) -> NDArray[np.float32]:
    return np.array([[name in one for name in names] for one in found], dtype=np.float32)


def _load(directory: Path) -> Records:
    if (directory / PREPARED_NAME).is_file():
        return _load_prepared(directory / PREPARED_NAME)
    if arrays := sorted(directory.glob("ptbxl_100hz_*.npz")):
        return _load_compact(arrays, sorted(directory.glob("ptbxl_labels_*.csv")))
    if (directory / DATABASE_NAME).is_file():
        return records_of(*read_physionet(directory, LEADS))
    raise DatasetError(
        f"{directory} holds no recordings: want {PREPARED_NAME}, ptbxl_100hz_*.npz or {DATABASE_NAME}"
    )


def _load_prepared(path: Path) -> Records:
    with np.load(path) as stored:
        missing = [one.name for one in fields(Records) if one.name not in stored.files]
        if missing:
            raise DatasetError(f"{path} lacks {', '.join(missing)}: write it again with `prepare`")
        return Records(**{one.name: stored[one.name] for one in fields(Records)})


def _load_compact(arrays: list[Path], tables: list[Path]) -> Records:
    labels = {int(row["ecg_id"]): row for table in tables for row in read_table(table)}
    ecg, kept = [], []
    for path in arrays:
        with np.load(path) as stored:
            ids = stored["ecg_id"]
            if tuple(stored["leads"]) != LEADS:
                raise DatasetError(f"{path} has leads {' '.join(stored['leads'])}, want {' '.join(LEADS)}")
            dx = stored["dx"]
        known = [i for i, ecg_id in enumerate(ids) if int(ecg_id) in labels]
        ecg.append(np.cumsum(dx[known], axis=-1, dtype=np.int16))
        kept += [label_of_compact(labels[int(ids[i])]) for i in known]
    if not kept:
        raise DatasetError(f"none of {', '.join(p.name for p in arrays)} has labels in {len(tables)} tables")
    return records_of(np.concatenate(ecg), kept)


def eight_leads_mv(records: Records) -> NDArray[np.float32]:
    """Recordings -> (n, 8, 1000) windows in mV, prepared as the model sees them, leads as LEADS."""
    return np.stack([prepare_batch(records.lead_mv(lead)) for lead in LEADS], axis=1)
