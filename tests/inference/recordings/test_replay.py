"""A replay leaves when everything that it sent was told of: whoever sends more than that is a new patient."""

from typing import Any, cast

import msgspec
import numpy as np
import pytest

from inference.recordings.replay import play
from ingest.chunk import Lead
from ingest.link import Message, MqttLink
from ingest.recordings import Format, Recording
from ingest.wire import decode

FS = 250.0
RECORDING = Recording(np.zeros(125, np.float32), FS, Lead.I, Format.APPLE, "ecg.csv")
LEAVES, DEVICE = "wl/v1/discharge/replay/r1", "replay/r1"


class ScriptedLink:
    """A stand-in for the broker that answers in a set order, which a real one cannot be held to."""

    def __init__(self, *told: Any) -> None:
        self.log: list[str] = []
        self.end_sample, self.session = 0, 0
        self._told = list(told)

    def publish(self, topic: str, payload: bytes, **_options: object) -> None:
        if topic.endswith("/chunk"):
            chunk = decode(payload, DEVICE)
            self.end_sample, self.session = chunk.end_sample, chunk.session
        self.log.append(topic)

    def poll(self, _timeout_s: float) -> list[Message]:
        if self.end_sample < len(RECORDING.samples_mv) or not self._told:
            return []
        told = self._told.pop(0)
        payload = told if isinstance(told, bytes) else vitals(**{"session": self.session} | told)
        self.log.append(f"told {told}")
        return [Message("wl/v1/vitals/replay", payload, 0, retained=False, _mid=1, _qos=1, _connection=1)]


def vitals(**told: object) -> bytes:
    plain = {"device": DEVICE, "at_us": 0, "heart_rate_bpm": None, "since_beat_s": None, "signal": "good"}
    return msgspec.json.encode([plain | told])


def test_it_leaves_after_vitals_told_of_its_last_sample_and_of_nothing_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("inference.recordings.replay.FAREWELL_S", 0)
    last = {"last_sample": 125}
    link = ScriptedLink(
        b"damaged", {"last_sample": 124}, last | {"session": 1}, last | {"device": "a/b"}, last
    )
    play(cast("MqttLink", link), RECORDING, "r1")
    assert link.log.index(f"told {last}") < link.log.index(LEAVES)
    assert link.log[-1] == LEAVES


def test_it_leaves_all_the_same_when_ingest_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.recordings.replay.FAREWELL_S", 0)
    monkeypatch.setattr("inference.recordings.replay.TOLD_WITHIN_S", 0)
    link = ScriptedLink()
    play(cast("MqttLink", link), RECORDING, "r1")
    assert link.log[-1] == LEAVES
