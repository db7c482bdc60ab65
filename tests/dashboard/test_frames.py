"""The bytes a browser receives; assets/frames.mjs reads exactly these."""

import json
import struct

import numpy as np
import pytest

from dashboard.frames import StateFrame, encode_samples, encode_state
from dashboard.house import ServiceState
from dashboard.patient_state import Segment
from inference.alarms.messages import Refusal
from inference.alarms.pause import Pause
from ingest.chunk import ChunkFlag

GOLDEN = (
    "574c0100" "01000000"  # "WL", version 1, reserved, one segment
    "0300" "01" "00" "0d0c0b0a" "efbe000000000000" "40420f0000000000" "0000000000407f40" "03000000" "00000000"
    "0cfe" "0000" "e803" "0000"  # -500, 0 and 1000 uV, two bytes of padding
)  # fmt: skip


def segment(samples: list[float]) -> Segment:
    return Segment(
        "a/b", 3, 0x0A0B0C0D, 0xBEEF, 500.0, ChunkFlag.LEAD_OFF, np.array(samples, np.float32), 1_000_000
    )


def test_the_layout_is_pinned() -> None:
    assert encode_samples([segment([-0.5, 0.0, 1.0])]).hex() == GOLDEN


def test_history_says_that_it_is_history() -> None:
    live, history = encode_samples([segment([0.0])]), encode_samples([segment([0.0])], is_history=True)
    assert (live[3], history[3]) == (0, 1)
    assert live[4:] == history[4:]


def test_samples_beyond_int16_travel_as_millivolts() -> None:
    message = encode_samples([segment([300.25, -1.0])])
    assert message[11] == 1
    assert struct.unpack("<2f", message[48:]) == (300.25, -1.0)


@pytest.mark.parametrize("n", range(6))
def test_every_segment_begins_where_typed_arrays_can(n: int) -> None:
    one = len(encode_samples([segment([0.1] * n)])) - 8
    assert one % 4 == 0
    assert len(encode_samples([segment([0.1] * n)] * 3)) == 8 + 3 * one


def test_state_is_json_with_unknown_as_null() -> None:
    frame = StateFrame(
        at_us=5,
        broker=True,
        broker_since_us=1,
        services=(ServiceState("ingest", is_missing=False, is_unseen=False, since_us=4),),
        channels=(),
        own_alarms=(),
        own_refusals={"wristlead/phone": Refusal("the store cannot be read yet", "{}", 4)},
        paused=Pause(9, "A. B.", None),
        devices=("a/b",),
        patients=(),
        dropped=2,
    )
    assert json.loads(encode_state(frame)) == {
        "type": "state",
        "at_us": 5,
        "broker": True,
        "broker_since_us": 1,
        "services": [
            {"name": "ingest", "is_missing": False, "is_unseen": False, "since_us": 4, "trouble": None}
        ],
        "channels": [],
        "own_alarms": [],
        "own_refusals": {
            "wristlead/phone": {"reason": "the store cannot be read yet", "request": "{}", "at_us": 4}
        },
        "paused": {"until_us": 9, "who": "A. B.", "loudest": None},
        "devices": ["a/b"],
        "patients": [],
        "dropped": 2,
        "explain": None,
    }
