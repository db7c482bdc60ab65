import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.preprocess import prepare_window
from inference.training.dataset import LEADS, Records, load_records, save_records
from inference.training.labels import FORMS, RHYTHMS, SUBCLASSES, DatasetError, label_of_compact
from inference.training.physionet import DATABASE_NAME, STATEMENTS_NAME

Synthetic = Callable[..., Records]
PTBXL = Path(__file__).parents[3] / "shared" / "data"
TWELVE = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]  # as PTB-XL spells them
STATEMENTS = """\
,description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass
NDT,non-diagnostic T,1.0,1.0,,STTC,STTC
IMI,inferior,1.0,,,MI,IMI
NST_,non-specific ST,1.0,1.0,,STTC,NST_
SR,sinus rhythm,,,1.0,,
PVC,premature,,1.0,,,
"""
HEADER = "ecg_id,patient_id,age,sex,device,pacemaker,scp_codes,strat_fold,filename_lr,filename_hr\n"
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # wfdb's own, of pandas, at import


@pytest.fixture
def physionet(tmp_path: Path) -> Path:
    (tmp_path / STATEMENTS_NAME).write_text(STATEMENTS)
    (tmp_path / DATABASE_NAME).write_text(
        HEADER
        + "1,11.0,300.0,1,AT-6 6,,\"{'NDT': 100.0, 'IMI': 15.0, 'SR': 0.0}\",3,low/a,high/a\n"
        + "2,12.0,,0,,\"ja, pacemaker\",{'SR': 0.0},4,low/b,high/b\n"
        + "3,13.0,47.0,0,,,\"{'NST_': 0.0, 'PVC': 100.0}\",5,low/c,high/c\n"
    )
    return tmp_path


def waves_mv(seed: int, fs: int) -> NDArray[np.float64]:
    """(10 s, 12) of waves below 10 Hz, the same at any rate."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(10 * fs)[:, None] / fs
    return np.sin(2 * np.pi * time_s * rng.uniform(1, 10, 12) + rng.uniform(0, 6, 12))


def write_record(path: Path, signal_mv: NDArray[np.float64], fs: int, leads: list[str] = TWELVE) -> None:
    import wfdb  # noqa: PLC0415 - its import warns, which only a running test can forgive

    path.parent.mkdir(exist_ok=True)
    n = len(leads)
    wfdb.wrsamp(
        path.name,
        fs=fs,
        units=["mV"] * n,
        sig_name=leads,
        p_signal=signal_mv,
        fmt=["16"] * n,
        adc_gain=[1000.0] * n,
        baseline=[0] * n,
        write_dir=str(path.parent),
    )


def test_ptbxl_is_read_as_published_and_the_500_hz_version_where_the_other_is_absent(physionet: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        write_record(physionet / "low" / name, waves_mv(seed, 100), 100)
    write_record(physionet / "high" / "c", waves_mv(3, 500), 500)
    records = load_records(physionet, unlabelled=True)
    assert records.ecg_id.tolist() == [1, 2, 3]
    chosen = [TWELVE.index(lead) for lead in LEADS]
    for row, seed in enumerate((1, 2, 3)):
        wanted_uv = 1000 * waves_mv(seed, 100)[:, chosen].transpose()
        inner = np.s_[:, 50:-50] if seed == 3 else np.s_[:, :]  # a resampled end is mirrored
        np.testing.assert_allclose(records.ecg_uv[row][inner], wanted_uv[inner], atol=6)
    assert records.native100.tolist() == [1, 1, 0]
    assert records.targets.tolist() == [[0, 1, 1, 0, 0], [0] * 5, [0, 0, 1, 0, 0]]
    assert load_records(physionet).ecg_id.tolist() == [1, 3]


def test_statements_become_matrices_and_what_was_not_said_is_masked(physionet: Path) -> None:
    for name in "abc":
        write_record(physionet / "low" / name, waves_mv(0, 100), 100)
    records = load_records(physionet, unlabelled=True)

    def names(row: NDArray[np.float32], vocabulary: tuple[str, ...]) -> set[str]:
        return {vocabulary[i] for i in np.flatnonzero(row)}

    assert [names(row, SUBCLASSES) for row in records.sub_class] == [{"STTC", "IMI"}, set(), {"NST"}]
    assert [names(row, FORMS) for row in records.form] == [{"NDT"}, set(), {"NST", "PVC"}]
    assert [names(row, RHYTHMS) for row in records.rhythm] == [{"SR"}, {"SR"}, set()]
    assert records.sub_class_known.tolist() == [True, False, True]
    assert records.form_known.tolist() == [True, True, True]
    assert records.rhythm_known.tolist() == [True, True, False]


def test_the_unknown_is_never_a_number(physionet: Path) -> None:
    for name in "abc":
        write_record(physionet / "low" / name, waves_mv(0, 100), 100)
    records = load_records(physionet, unlabelled=True)
    np.testing.assert_array_equal(records.age_years, [90, np.nan, 47])  # 300 hides an age above 89
    np.testing.assert_array_equal(records.male, [0, 1, 1])
    np.testing.assert_array_equal(records.pacemaker, [0, 1, 0])
    bare = label_of_compact({"ecg_id": "1", "patient_id": "2.0", "strat_fold": "3", "super_class": "['MI']"})
    assert all(math.isnan(x) for x in (bare.age_years, bare.male, bare.pacemaker, bare.native100))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "low" / "a.dat").unlink(), "cannot be read as a WFDB record"),
        (lambda d: (d / "low" / "a.hea").unlink(), "is at neither"),
        (lambda d: write_record(d / "low" / "a", waves_mv(0, 100)[:900], 100), "900 samples at 100 Hz"),
        (lambda d: write_record(d / "low" / "a", waves_mv(0, 100)[:, :2], 100, ["I", "V7"]), "leads I V7"),
        (lambda d: (d / STATEMENTS_NAME).unlink(), "scp_statements.csv is missing"),
    ],
)
def test_what_cannot_be_read_is_named(
    physionet: Path, damage: Callable[[Path], object], message: str
) -> None:
    for name in "abc":
        write_record(physionet / "low" / name, waves_mv(0, 100), 100)
    damage(physionet)
    with pytest.raises(DatasetError, match=message):
        load_records(physionet)


def test_prepared_records_come_back_as_they_were(tmp_path: Path, synthetic: Synthetic) -> None:
    records = synthetic()
    bare = replace(records, targets=records.targets * (np.arange(40) > 3)[:, None])
    save_records(bare, tmp_path)
    again = load_records(tmp_path, unlabelled=True)
    for one in fields(records):
        np.testing.assert_array_equal(getattr(again, one.name), getattr(bare, one.name))
    assert load_records(tmp_path).ecg_id.tolist() == records.ecg_id[4:].tolist()


def test_records_prepared_by_an_earlier_version_are_refused_with_what_to_do(
    tmp_path: Path, synthetic: Synthetic
) -> None:
    np.savez(tmp_path / "records.npz", ecg_uv=synthetic().ecg_uv)
    with pytest.raises(DatasetError, match=r"lacks targets, fold.* write it again with `prepare`"):
        load_records(tmp_path)


def write_compact(directory: Path, name: str, rows: Mapping[int, str], ecg_uv: NDArray[np.int16]) -> None:
    dx = np.diff(ecg_uv, axis=-1, prepend=np.int16(0)).astype(np.int16)
    np.savez(directory / f"ptbxl_100hz_{name}.npz", ecg_id=list(rows), dx=dx, leads=list(LEADS))
    lines = ["ecg_id,patient_id,strat_fold,super_class", *(f"{i},{i}0.0,{text}" for i, text in rows.items())]
    (directory / f"ptbxl_labels_{name}.csv").write_text("\n".join(lines) + "\n")


def test_compact_arrays_of_any_name_are_read_by_id(tmp_path: Path, synthetic: Synthetic) -> None:
    ecg_uv = synthetic(5).ecg_uv
    write_compact(tmp_path, "fold10", {7: "10,['NORM']", 3: "10,\"['MI', 'CD']\""}, ecg_uv[:2])
    write_compact(tmp_path, "part", {5: "9,", 9: "9,['HYP']", 8: "8,['HYP']"}, ecg_uv[2:])
    (tmp_path / "ptbxl_labels_part.csv").write_text(
        "ecg_id,patient_id,strat_fold,super_class\n5,50.0,9,\n9,90.0,9,['HYP']\n"  # nothing is known of 8
    )
    records = load_records(tmp_path)
    assert records.ecg_id.tolist() == [3, 7, 9]
    assert records.patient.tolist() == [30, 70, 90]
    assert records.targets.tolist() == [[0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
    np.testing.assert_array_equal(records.ecg_uv, ecg_uv[[1, 0, 3]])
    np.testing.assert_array_equal(records.of_folds([9]).ecg_id, [9])
    everything = load_records(tmp_path, unlabelled=True)
    assert everything.ecg_id.tolist() == [3, 5, 7, 9]
    assert everything.has_label.tolist() == [True, False, True, True]
    assert not everything.form_known[1]


@pytest.mark.skipif(not PTBXL.is_dir(), reason="needs the recorded ECGs")
def test_every_statement_of_the_recorded_ecgs_has_its_column() -> None:
    records = load_records(PTBXL, unlabelled=True)
    assert (len(records), int(records.has_label.sum())) == (3835, 3774)
    assert (records.sub_class.sum(axis=0) > 0).all()
    assert (records.form.sum(axis=0) > 0).all()
    assert (records.rhythm.sum(axis=0) > 0).all()
    assert np.nanmax(records.age_years) == 90
    assert int(np.isnan(records.male).sum()) == 991
    prepared = prepare_window(records.lead_mv("I")[0], 100.0)
    assert 0.3 < np.ptp(prepared) < 5  # mV, not uV or counts


def test_a_directory_without_recordings_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no recordings"):
        load_records(tmp_path)
