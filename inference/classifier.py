"""Windows become verdicts: quality gate, preparation, one batched run of the exported network, calibration.

The device says which lead a window is of, and the network checks it: a told lead that looks upside down gets
no findings. Where the device does not say, the network recognises the lead or no findings are given.

No torch here: the recurrence plots are built inside the exported graph, which onnxruntime runs.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.card import CARD_NAME, MODEL_NAME, RELEASED_WEIGHTS, Card, decode_card
from inference.lead_view import SERVED_LEADS, VIEWS, softmax
from inference.preprocess import is_supported, prepare_window, prepare_windows
from inference.quality_gate import refuse_each
from inference.rhythm import RhythmError, RhythmReader
from inference.verdict import Finding, Indeterminate, RhythmFinding, Superclass, Verdict
from ingest.chunk import Lead
from ingest.window import Window

OUTPUTS = ("logits", "lead_logits")  # of the exported network
MAX_BATCH = 32  # windows a run: more gains nothing on one core and delays the first verdict


class ClassifierError(Exception):
    """The weights cannot be used; the message names the file and what to do."""


class Classifier:
    """The released model. One instance serves every device; it keeps no state between windows."""

    def __init__(
        self, session: ort.InferenceSession, card: Card, rhythm_reader: RhythmReader | None = None
    ) -> None:
        self._session = session
        self.card = card
        self.rhythm_reader = rhythm_reader  # None: verdicts tell no rhythm

    @classmethod
    def load(cls, weights_dir: Path | None = None) -> "Classifier":
        """Open a folder with model.onnx and card.json; None means the released one.

        Verdicts tell the rhythm where the folder holds a rhythm network too.

        Raises:
            ClassifierError: a file is missing, damaged or of another model.
        """
        folder = weights_dir or RELEASED_WEIGHTS
        content = _read(folder / MODEL_NAME)
        card = _read_card(folder / CARD_NAME)
        if hashlib.sha256(content).hexdigest() != card.sha256:
            raise ClassifierError(
                f"{folder / MODEL_NAME} is not the file its card describes (wrong SHA-256, "
                f"{len(content)} bytes): {_REMEDY}"
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # two threads beside a busy neighbour spin 588 ms instead of 8
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        try:
            session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ClassifierError(f"{folder / MODEL_NAME} cannot be opened ({error}): {_REMEDY}") from error
        try:
            return cls(session, card, RhythmReader.find(folder))
        except RhythmError as error:
            raise ClassifierError(str(error)) from error

    @property
    def version(self) -> str:
        """Name of the weights, as stored with each verdict."""
        return self.card.version

    def prepare(self, window: Window) -> NDArray[np.float32]:
        """Window -> (1000,) mV at 100 Hz, what the model sees of it; ValueError for a rate it cannot use."""
        return prepare_window(window.samples_mv, window.fs)

    def answers(self, prepared_mv: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the network says of prepared windows.

        Args:
            prepared_mv: (n, 1000) mV at 100 Hz.

        Returns:
            (n, 2, 5) superclass logits in SERVED_LEADS and Superclass order, (n, 5) in LeadView order.
        """
        superclasses = [np.zeros((0, len(SERVED_LEADS), len(Superclass)), dtype=np.float32)]
        leads = [np.zeros((0, len(VIEWS)), dtype=np.float32)]
        for i in range(0, len(prepared_mv), MAX_BATCH):
            one, other = self._session.run(list(OUTPUTS), {"ecg_mv": prepared_mv[i : i + MAX_BATCH]})
            superclasses.append(one)
            leads.append(other)
        return np.concatenate(superclasses), np.concatenate(leads)

    def logits(self, prepared_mv: NDArray[np.float32], lead: str) -> NDArray[np.float32]:
        """(n, 1000) prepared windows of one of SERVED_LEADS in mV -> (n, 5) logits in Superclass order."""
        return self.answers(prepared_mv)[0][:, SERVED_LEADS.index(lead)]

    def classify(self, windows: Sequence[Window], decided_us: int) -> list[Verdict]:
        """One verdict a window, in the same order; windows of any devices and rates may be mixed.

        Args:
            windows: not changed.
            decided_us: wall clock, Unix microseconds, stamped on each verdict.
        """
        reasons = [self._refuse_untouched(window) for window in windows]
        rows = [row for row, reason in enumerate(reasons) if reason is None]
        candidates = [windows[row] for row in rows]
        prepared = prepare_windows([one.samples_mv for one in candidates], [one.fs for one in candidates])
        for row, reason in zip(rows, refuse_each(candidates, prepared), strict=True):
            reasons[row] = reason
        read = [row for row in rows if reasons[row] is None]
        passed = prepared[[reasons[row] is None for row in rows]]
        rhythms = dict(zip(read, self._rhythms(passed), strict=True))
        logits, views = self.answers(passed)
        answers = zip(read, self._probabilities(logits), softmax(views), strict=True)
        readings = {
            row: self._read(windows[row], by_lead, shares, rhythms[row]) for row, by_lead, shares in answers
        }
        return [
            self._verdict(window, readings.get(row, _Reading(reason=reasons[row])), decided_us)
            for row, window in enumerate(windows)
        ]

    def _refuse_untouched(self, window: Window) -> Indeterminate | None:
        """The reason for no findings that is known before the samples are looked at, or None."""
        if window.lead is not Lead.UNKNOWN and window.lead.name not in self.card.by_lead:
            return Indeterminate.UNSUPPORTED_LEAD
        if not is_supported(len(window.samples_mv), window.fs):
            return Indeterminate.UNSUPPORTED_RATE
        return None if window.is_eligible else Indeterminate.MISSING_DATA

    def _rhythms(self, prepared_mv: NDArray[np.float32]) -> list[tuple[RhythmFinding, ...]]:
        """(n, 1000) prepared windows in mV -> what the rhythm network finds in each, nothing without one."""
        reader = self.rhythm_reader
        if reader is None:
            return [()] * len(prepared_mv)
        return [reader.findings(shares) for shares in reader.probabilities(prepared_mv)]

    def _probabilities(self, logits: NDArray[np.float32]) -> list[dict[str, list[float]]]:
        """(n, 2, 5) logits of n windows -> of each window, by lead, probabilities in Superclass order."""
        by_lead = {
            lead: calibrated.served.probabilities(logits[:, SERVED_LEADS.index(lead)]).tolist()
            for lead, calibrated in self.card.by_lead.items()
        }
        return [{lead: each[row] for lead, each in by_lead.items()} for row in range(len(logits))]

    def _read(
        self,
        window: Window,
        by_lead: Mapping[str, Sequence[float]],
        views: NDArray[np.float64],
        rhythm: tuple[RhythmFinding, ...],
    ) -> "_Reading":
        """Probabilities by lead, (5,) of the lead itself, the rhythm -> findings of that lead, or why not."""
        shares = np.array([one.probability for one in rhythm])
        if self.rhythm_reader is not None and self.rhythm_reader.is_noisy(shares):
            return _Reading(reason=Indeterminate.NOISY, rhythm=rhythm)
        told = None if window.lead is Lead.UNKNOWN else window.lead.name
        view = self.card.lead_limits.read(views, told)
        if isinstance(view, Indeterminate):
            return _Reading(reason=view, rhythm=rhythm)
        findings = self._findings(by_lead[view], view)
        return _Reading(findings=findings, rhythm=rhythm, lead=view.value, inferred=told is None)

    def _findings(self, probabilities: Sequence[float], lead: str) -> tuple[Finding, ...]:
        """Calibrated probabilities of a window of that lead -> findings, both in Superclass order."""
        classes = self.card.by_lead[lead].served.classes
        return tuple(
            Finding(superclass, p, limits.threshold, limits.presence(p))
            for superclass, p, limits in zip(Superclass, probabilities, classes, strict=True)
        )

    def _verdict(self, window: Window, reading: "_Reading", decided_us: int) -> Verdict:
        return Verdict(
            device=window.device,
            session=window.session,
            first_sample=window.first_sample,
            wall_time_us=window.wall_time_us,
            model=self.version,
            decided_us=decided_us,
            historic=window.historic,
            findings=reading.findings,
            indeterminate=reading.reason,
            rhythm=reading.rhythm,
            lead=reading.lead,
            lead_inferred=reading.inferred,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What came of one window: a reason, or findings and the lead they are of."""

    reason: Indeterminate | None = None
    findings: tuple[Finding, ...] = ()
    rhythm: tuple[RhythmFinding, ...] = ()
    lead: str | None = None
    inferred: bool = False


_REMEDY = "restore the released weights, or export your own with python -m inference.training export"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ClassifierError(f"{path} cannot be read ({error.strerror}): {_REMEDY}") from error


def _read_card(path: Path) -> Card:
    try:
        card = decode_card(_read(path))
    except msgspec.MsgspecError as error:
        raise ClassifierError(f"{path} is not a model card ({error}): {_REMEDY}") from error
    if card.classes != tuple(Superclass):
        raise ClassifierError(
            f"{path} names the classes {' '.join(card.classes)}, want {' '.join(Superclass)}"
        )
    return card
