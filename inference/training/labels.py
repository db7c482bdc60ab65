"""Rows of PTB-XL's tables become what is known of a recording: statements, patient, age and the like.

Two kinds of rows are understood: those of `ptbxl_database.csv` as on PhysioNet, whose SCP codes are looked up
in `scp_statements.csv`, and those of the compact tables, in which the statements stand sorted in columns.
"""

import ast
import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = Mapping[str, str]

# The whole vocabulary of scp_statements.csv, without its trailing and leading underscores, so that a column
# means the same in any part of the database (Wagner et al. 2020, tables 4 to 6).
SUBCLASSES = (
    *("NORM", "AMI", "IMI", "LMI", "PMI", "STTC", "NST", "ISC", "ISCA", "ISCI", "LAFB/LPFB", "IRBBB"),
    *("ILBBB", "CLBBB", "CRBBB", "AVB", "IVCD", "WPW", "LVH", "RVH", "SEHYP", "LAO/LAE", "RAO/RAE"),
)
FORMS = (
    *("NDT", "NST", "DIG", "LNGQT", "ABQRS", "PVC", "STD", "VCLVH", "QWAVE", "LOWT", "NT", "PAC", "LPR"),
    *("INVT", "LVOLT", "HVOLT", "TAB", "STE", "PRC(S)"),
)
RHYTHMS = (
    *("SR", "AFIB", "STACH", "SARRH", "SBRAD", "PACE", "SVARR", "BIGU", "AFLT", "SVTAC", "PSVT", "TRIGU"),
)
OLDEST_YEARS = 90.0  # stands for every age above 89: PhysioNet writes 300 for them, to protect the patients


class DatasetError(Exception):
    """A directory that holds no recordings this program can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What the tables say of one recording; NaN where they say nothing."""

    ecg_id: int
    patient: int
    fold: int
    superclasses: frozenset[str]  # empty: no diagnostic statement
    subclasses: frozenset[str]  # of SUBCLASSES
    forms: frozenset[str]  # of FORMS
    rhythms: frozenset[str]  # of RHYTHMS
    age_years: float  # 90 is 90 or more
    male: float  # 1 or 0
    pacemaker: float  # 1 or 0
    native100: float  # 1: the 100 Hz version is the database's own; 0: it was resampled here


def read_table(path: Path) -> list[dict[str, str]]:
    """CSV with a header -> its rows; DatasetError where there is none."""
    if not path.is_file():
        raise DatasetError(f"{path} is missing")
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def label_of_compact(row: Row) -> Label:
    """A row of a compact table -> label."""
    return Label(
        **_about(row),
        superclasses=_listed(row, "super_class"),
        subclasses=_listed(row, "sub_class"),
        forms=_listed(row, "form"),
        rhythms=_listed(row, "rhythm"),
        native100=_flag(row.get("native100", "")),
    )


def label_of_physionet(row: Row, statements: Mapping[str, Row], native100: float) -> Label:
    """A row of ptbxl_database.csv -> label.

    Any likelihood counts, also 0 ("unknown"), as in the PTB-XL benchmark (Strodthoff et al. 2021).

    Args:
        row: of the database.
        statements: rows of scp_statements.csv by SCP code.
        native100: see `Label`.
    """
    said = [statements[code] for code in ast.literal_eval(row["scp_codes"]) if code in statements]

    def marked(column: str) -> frozenset[str]:
        return frozenset(_bare(one[""]) for one in said if one.get(column))

    return Label(
        **_about(row),
        superclasses=frozenset(one["diagnostic_class"] for one in said if one["diagnostic_class"]),
        subclasses=frozenset(
            _bare(one["diagnostic_subclass"]) for one in said if one.get("diagnostic_subclass")
        ),
        forms=marked("form"),
        rhythms=marked("rhythm"),
        native100=native100,
    )


def _about(row: Row) -> dict[str, Any]:
    return {
        "ecg_id": int(row["ecg_id"]),
        "patient": int(float(row["patient_id"])),
        "fold": int(row["strat_fold"]),
        "age_years": _age_years(row.get("age", "")),
        "male": {"0": 1.0, "0.0": 1.0, "1": 0.0, "1.0": 0.0}.get(row.get("sex", ""), math.nan),
        "pacemaker": _pacemaker(row),
    }


def _pacemaker(row: Row) -> float:
    """Known to be there where it says "ja", not there where a row of the database leaves it empty."""
    noted = row.get("pacemaker", "")
    if noted.startswith("ja"):
        return 1.0
    is_whole_row = bool(row.get("scp_codes"))  # a compact table lacks all such columns for some recordings
    return 0.0 if is_whole_row and not noted else math.nan


def _listed(row: Row, column: str) -> frozenset[str]:
    cell = row.get(column, "")
    return frozenset(_bare(name) for name in ast.literal_eval(cell)) if cell else frozenset()


def _bare(name: str) -> str:
    return name.strip("_")


def _age_years(cell: str) -> float:
    return min(float(cell), OLDEST_YEARS) if cell else math.nan


def _flag(cell: str) -> float:
    return {"True": 1.0, "False": 0.0}.get(cell, math.nan)
