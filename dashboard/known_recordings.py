"""Descriptions of finished recordings and progress of their explanations, as the broker tells them."""

import secrets

import msgspec

from dashboard.patient_state import Explaining
from inference.explain.request import ExplainProgress
from inference.recordings.kept import KeptRecording, decode_kept
from ingest import topics
from ingest.topics import ID_PATTERN, RECORDING_SITE

MAX_RECORDINGS = 10_000  # 3 kB each
MAX_EXPLAINING = 24
_TOPIC = topics.recording_topic("")
_PROGRESS = topics.explain_progress_topic(f"{RECORDING_SITE}/")
_progress_decoder = msgspec.json.Decoder(ExplainProgress)


class KnownRecordings:
    """What is retained of each recording."""

    def __init__(self) -> None:
        self._kept: dict[str, KeptRecording] = {}
        self._origin, self._n_changes = secrets.token_hex(4), 0
        self._explaining: dict[tuple[object, ...], Explaining] = {}  # the newest of each question

    def push(self, topic: str, payload: bytes, received_us: int) -> bool:
        """Take one message; True where it was about recordings. Raises ValueError for a damaged one."""
        if topic.startswith(_PROGRESS):
            self._take_progress(topic, payload, received_us)
            return True
        if not topic.startswith(_TOPIC):
            return False
        recording_id = topic.removeprefix(_TOPIC)
        self._n_changes += 1
        if not payload:
            self._kept.pop(recording_id, None)
            return True
        kept = decode_kept(payload)
        if kept.id != recording_id or not ID_PATTERN.fullmatch(recording_id):
            raise ValueError(f"{topic} describes {kept.id[:40]!r}")
        if recording_id not in self._kept and len(self._kept) >= MAX_RECORDINGS:
            raise ValueError(f"{recording_id} is one more than the {MAX_RECORDINGS} recordings kept")
        self._kept[recording_id] = kept
        return True

    @property
    def revision(self) -> str:
        """Another one after each change, and in each process."""
        return f"{self._origin}-{self._n_changes}"

    def all(self) -> list[KeptRecording]:
        """Who was added last first."""
        return sorted(self._kept.values(), key=lambda kept: -kept.added_us)

    def find(self, recording_id: str) -> KeptRecording | None:
        """That one; None where there is none."""
        return self._kept.get(recording_id)

    def has_device(self, device: str) -> bool:
        """Whether a recording's samples are that device's."""
        site, _, name = device.partition("/")
        return site == RECORDING_SITE and name in self._kept

    def explaining(self, device: str) -> list[Explaining]:
        """How far the explanations of its windows are."""
        return [each for key, each in self._explaining.items() if key[0] == device]

    def _take_progress(self, topic: str, payload: bytes, received_us: int) -> None:
        told, device = _progress_decoder.decode(payload), topics.device_of(topic)
        key = (device, told.session, told.first_sample, told.superclass, told.rhythm, told.method)
        self._explaining.pop(key, None)
        self._explaining[key] = Explaining(told, received_us)
        if len(self._explaining) > MAX_EXPLAINING:
            del self._explaining[next(iter(self._explaining))]
