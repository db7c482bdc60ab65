"""Databases on disk -> `simulators/recordings/*.npz`, the real recordings that are replayed as patients.

    python -m simulators.excerpt FOLDER

FOLDER holds `ptbxl_500hz_replay.npz` and `.csv` (144 PTB-XL records, leads I and II) and
`mitdb_360hz_part.npz`. Records are chosen by label and signal quality alone, never by what a model says
of them; records of fold 9, to which no weights are fitted, come first.
"""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal

RECORDINGS = Path(__file__).with_name("recordings")
LABELS = ("NORM", "MI", "STTC", "CD", "HYP", "AF")
KEPT_PER_LABEL = 3
PTBXL_FS = 500.0
MIN_QRS_MV = 0.5  # in lead I, peak to peak; below it wander and T waves rival the QRS
MAX_QRS_SPREAD = 0.12  # standard deviation over mean of the QRS height: beats look alike, so joins do
MAX_WANDER_MV = 0.25  # peak to peak below 0.7 Hz
MAX_NOISE_UV = 9.0  # rms above 40 Hz between the QRS
AF_MIN_RR_SPREAD = 0.12  # atrial fibrillation that one can see
RATE_RANGE_BPM = (
    50.0,
    110.0,
)  # within the default alarm limits: a demo bed alarms for its finding, not its rate
MITDB_FS = 360.0
MITDB_KEPT = ("119", "209")  # ventricular and supraventricular ectopy, both clean in lead II
MITDB_SECONDS = 180
MITDB_UNITS_PER_MV = 200
MITDB_BASELINE = 1024
BEAT_SYMBOLS = tuple("NLRBAaJSVrFejnE/fQ")  # PhysioNet annotation codes that mark a QRS


@dataclass(frozen=True, slots=True)
class Quality:
    """What decides whether a record is worth showing."""

    qrs_mv: float
    qrs_spread: float
    wander_mv: float
    noise_uv: float
    rate_bpm: float
    rr_spread: float

    @property
    def is_clean(self) -> bool:
        """True when every limit above is kept."""
        return (
            self.qrs_mv >= MIN_QRS_MV
            and self.qrs_spread <= MAX_QRS_SPREAD
            and self.wander_mv <= MAX_WANDER_MV
            and self.noise_uv <= MAX_NOISE_UV
            and RATE_RANGE_BPM[0] <= self.rate_bpm <= RATE_RANGE_BPM[1]
        )


def r_peaks_of(ecg_mv: NDArray[np.float64], fs: float) -> NDArray[np.int64]:
    """Sample index of the largest QRS deflection of each beat of a clean record.

    Band-pass 5-25 Hz, square, 100 ms mean, peaks at least 0.25 s apart, then the extreme within 60 ms, of
    one sign for the whole record. For records already known to be clean; live signals need `ingest.beats`.
    """
    band = signal.sosfiltfilt(signal.butter(2, (5.0, 25.0), "bandpass", fs=fs, output="sos"), ecg_mv)
    width = round(0.1 * fs)
    energy = np.convolve(band**2, np.ones(width) / width, mode="same")
    rough, _ = signal.find_peaks(energy, height=0.3 * np.percentile(energy, 98), distance=round(0.25 * fs))
    reach = round(0.06 * fs)
    starts = [max(0, int(at) - reach) for at in rough]
    around = [ecg_mv[start : start + 2 * reach] for start in starts]
    rest_mv = np.median(ecg_mv)
    heights = [piece.max() - rest_mv for piece in around]
    depths = [rest_mv - piece.min() for piece in around]
    sign = 1.0 if np.median(heights) >= np.median(depths) else -1.0
    return np.array(
        [start + int(np.argmax(sign * piece)) for start, piece in zip(starts, around, strict=True)]
    )


def quality_of(ecg_mv: NDArray[np.float64], r_peaks: NDArray[np.int64], fs: float) -> Quality:
    """Measure one lead with its R peaks."""
    high = signal.sosfiltfilt(signal.butter(2, 40.0, "high", fs=fs, output="sos"), ecg_mv)
    low = signal.sosfiltfilt(signal.butter(2, 0.7, "low", fs=fs, output="sos"), ecg_mv)
    reach = round(0.08 * fs)
    between = np.ones(len(ecg_mv), bool)
    for at in r_peaks:
        between[max(0, at - reach) : at + reach] = False
    qrs = np.array([np.ptp(ecg_mv[max(0, at - reach) : at + reach]) for at in r_peaks])
    rr_s = np.diff(r_peaks) / fs
    return Quality(
        qrs_mv=float(np.median(qrs)),
        qrs_spread=float(qrs.std() / qrs.mean()),
        wander_mv=float(np.ptp(low)),
        noise_uv=float(high[between].std() * 1000),
        rate_bpm=float(60 / np.median(rr_s)),
        rr_spread=float(rr_s.std() / rr_s.mean()),
    )


def chosen_ptbxl(folder: Path) -> dict[str, NDArray[np.generic]]:
    """The cleanest records of each label, as the arrays of `recordings/ptbxl.npz`."""
    with np.load(folder / "ptbxl_500hz_replay.npz") as archive:
        samples_uv = np.cumsum(archive["dx"], axis=-1, dtype=np.int16)  # (records, 2, 5000)
    with (folder / "ptbxl_500hz_replay.csv").open() as file:
        rows = list(csv.DictReader(file))
    peaks = [r_peaks_of(record[0] / 1000, PTBXL_FS) for record in samples_uv]
    ranked: dict[str, list[tuple[bool, float, int]]] = {label: [] for label in LABELS}
    for index, row in enumerate(rows):
        quality = quality_of(samples_uv[index, 0] / 1000, peaks[index], PTBXL_FS)
        is_af = "AFIB" in row["rhythm"]
        label = "AF" if is_af else row["super_class"].strip("[]'")
        if quality.is_clean and label in ranked and (not is_af or quality.rr_spread >= AF_MIN_RR_SPREAD):
            score = quality.noise_uv / 1000 / quality.qrs_mv + quality.wander_mv / quality.qrs_mv / 10
            ranked[label].append((row["strat_fold"] != "9", score, index))
    kept = [(label, at) for label, rank in ranked.items() for _, _, at in sorted(rank)[:KEPT_PER_LABEL]]
    return {
        "label": np.array([label for label, _ in kept]),
        "ecg_id": np.array([int(rows[at]["ecg_id"]) for _, at in kept]),
        "fold": np.array([int(rows[at]["strat_fold"]) for _, at in kept]),
        "dx_uv": np.diff(samples_uv[[at for _, at in kept]], axis=-1, prepend=np.int16(0)),
        "r_peaks": np.concatenate([peaks[at] for _, at in kept]),
        "r_peaks_end": np.cumsum([len(peaks[at]) for _, at in kept]),
    }


def chosen_mitdb(folder: Path) -> dict[str, NDArray[np.generic]]:
    """The first minutes of two MIT-BIH records, lead II (MLII), as the arrays of `recordings/mitdb.npz`."""
    arrays: dict[str, NDArray[np.generic]] = {"record": np.array(MITDB_KEPT)}
    length = round(MITDB_SECONDS * MITDB_FS)
    with np.load(folder / "mitdb_360hz_part.npz") as archive:
        for record in MITDB_KEPT:
            units = np.cumsum(archive[f"dx_{record}"][0, :length], dtype=np.int16)
            samples_uv = ((units - MITDB_BASELINE) * (1000 // MITDB_UNITS_PER_MV)).astype(np.int16)
            at, symbol = archive[f"ann_s_{record}"], archive[f"ann_y_{record}"]
            is_beat = np.isin(symbol, BEAT_SYMBOLS) & (at < length)
            arrays[f"dx_uv_{record}"] = np.diff(samples_uv, prepend=np.int16(0))
            arrays[f"r_peaks_{record}"] = at[is_beat].astype(np.int64)
            arrays[f"symbol_{record}"] = symbol[is_beat]
    return arrays


def write_excerpts(folder: Path) -> None:
    """Choose and write both archives."""
    np.savez_compressed(RECORDINGS / "ptbxl.npz", allow_pickle=False, **chosen_ptbxl(folder))
    np.savez_compressed(RECORDINGS / "mitdb.npz", allow_pickle=False, **chosen_mitdb(folder))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m simulators.excerpt FOLDER (with ptbxl_500hz_replay.npz)")
    write_excerpts(Path(sys.argv[1]))
