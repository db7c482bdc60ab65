"""Atrial fibrillation in recordings of another kind, never trained on: hospital ECGs of PTB-XL, one lead.

PTB-XL 1.0.3 (Wagner et al. 2020, CC BY 4.0), compact arrays. AF is the statement AFIB; the other side is
sinus rhythm (SR), normal in rate, and separately every record without AFIB or AFLT.
"""

import ast
import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.preprocess import prepare_batch, prepare_window
from inference.rhythm import RhythmReader
from inference.training.dataset import LEADS, UV_PER_MV
from inference.training.figures import rounded
from inference.training.metrics import auroc
from inference.training.rhythm.calibrate import AF, NOISY

FOLDS = tuple(range(1, 9))
REPLAY_FS = 500.0
REPLAY_WINDOW = 5000


def external_figures(reader: RhythmReader, directory: Path, lead: str = "I") -> dict[str, Any] | None:
    """AUROC and shares on PTB-XL folds 1-8 and on its 500 Hz part; None where the directory has neither."""
    figures = {}
    for arrays in sorted(directory.glob("ptbxl_100hz_*.npz")):
        table = _rows(sorted(directory.glob("ptbxl_labels_*.csv")))
        figures["ptbxl_100hz"] = _figures(reader, *_folds(arrays, table, lead))
    for arrays in sorted(directory.glob("ptbxl_500hz_replay.npz")):
        table = _rows([arrays.with_suffix(".csv")])
        figures["ptbxl_500hz"] = _figures(reader, *_replay(arrays, table, lead))
    return figures or None


def _folds(
    arrays: Path, table: dict[int, dict[str, str]], lead: str
) -> tuple[NDArray[np.float32], list[list[str]]]:
    with np.load(arrays) as stored:
        keep = [i for i, n in enumerate(stored["ecg_id"]) if int(table[int(n)]["strat_fold"]) in FOLDS]
        ids = stored["ecg_id"][keep]
        dx = stored["dx"][keep, LEADS.index(lead)]
    ecg_mv = np.cumsum(dx, axis=-1, dtype=np.int16) / UV_PER_MV
    return prepare_batch(ecg_mv), [ast.literal_eval(table[int(n)]["rhythm"] or "[]") for n in ids]


def _replay(
    arrays: Path, table: dict[int, dict[str, str]], lead: str
) -> tuple[NDArray[np.float32], list[list[str]]]:
    with np.load(arrays) as stored:
        ids = stored["ecg_id"]
        dx = stored["dx"][:, list(stored["leads"]).index(lead), :REPLAY_WINDOW]
    ecg_mv = np.cumsum(dx, axis=-1, dtype=np.int16) / UV_PER_MV
    prepared = np.stack([prepare_window(row, REPLAY_FS) for row in ecg_mv])
    return prepared, [ast.literal_eval(table[int(n)]["rhythm"] or "[]") for n in ids]


def _figures(
    reader: RhythmReader, prepared_mv: NDArray[np.float32], rhythms: list[list[str]]
) -> dict[str, Any]:
    probability = reader.probabilities(prepared_mv)
    has_af = np.array(["AFIB" in rhythm for rhythm in rhythms])
    sinus = np.array([rhythm == ["SR"] for rhythm in rhythms])
    no_af = np.array([not {"AFIB", "AFLT"} & set(rhythm) for rhythm in rhythms])
    called = (probability[:, AF] >= reader.card.calibration.af_limit) & (probability.argmax(axis=1) == AF)
    noisy = probability[:, NOISY] >= reader.card.calibration.noisy_limit
    against_sinus = has_af | sinus
    against_all = has_af | no_af
    return {
        "af": int(has_af.sum()),
        "sinus_rhythm": int(sinus.sum()),
        "auroc_af_against_sinus": rounded(auroc(has_af[against_sinus], probability[against_sinus, AF])),
        "auroc_af_against_all": rounded(auroc(has_af[against_all], probability[against_all, AF])),
        "called_af_of_af": rounded(_share(called, has_af)),
        "called_af_of_sinus": rounded(_share(called, sinus)),
        "called_af_of_all_without": rounded(_share(called, no_af)),
        "called_noisy": rounded(float(noisy.mean())),
    }


def _share(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return float(of[among].mean()) if among.any() else None


def _rows(tables: list[Path]) -> dict[int, dict[str, str]]:
    rows = {}
    for path in tables:
        with path.open(newline="", encoding="utf-8") as table:
            rows.update({int(row["ecg_id"]): row for row in csv.DictReader(table)})
    return rows
