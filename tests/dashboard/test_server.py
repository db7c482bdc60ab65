"""What a page may ask for on the live route, and what happens when it asks for anything else."""

import asyncio
import contextlib
import json
from typing import Any, cast

import pytest
from starlette.websockets import WebSocket

from dashboard.frames import HEADER
from dashboard.hub import Hub
from dashboard.server import _read, _write
from ingest.link import Message

BED = "ward/bed"
CHUNK = b'{"v":1,"sess":"00000001","seq":0,"i0":0,"t0_us":1,"fs":500,"lead":"I","unit":"uV","y":[1,2,3]}'

OWN_ALARM = {
    "device": "wristlead/explain",
    "kind": "service",
    "queue": "technical",
    "priority": "medium",
    "state": "on",
    "text": "Service explain silent 12 h",
    "since_us": 1,
    "at_us": 1,
}


class Socket:
    """A WebSocket whose page sends what it is given, and leaves."""

    def __init__(self, *requests: dict[str, Any]) -> None:
        self._requests = [{"type": "websocket.receive"} | each for each in requests]
        self.sent: list[bytes] = []
        self.closed: int | None = None

    async def receive(self) -> dict[str, Any]:
        return self._requests.pop(0) if self._requests else {"type": "websocket.disconnect", "code": 1001}

    async def send_bytes(self, data: bytes) -> None:
        self.sent.append(data)

    async def send_text(self, _data: str) -> None:
        """State is not looked at here."""

    async def close(self, code: int, reason: str) -> None:  # noqa: ARG002 - starlette's signature
        self.closed = code


def served(*requests: dict[str, Any]) -> tuple[Socket, Hub]:
    hub = Hub(("127.0.0.1", 1), clock_us=lambda: 1)
    topic = f"ecg/v1/{BED}/chunk"
    hub._take(Message(topic, CHUNK, received_us=1, retained=False, _mid=0, _qos=0, _connection=0))
    own = json.dumps(OWN_ALARM).encode()
    topic = "wl/v1/alarm/wristlead/explain/service"
    hub._take(Message(topic, own, received_us=1, retained=True, _mid=0, _qos=0, _connection=0))
    socket = Socket(*requests)
    with contextlib.suppress(StopIteration):  # nothing here ever waits, so one step runs it through
        _read(cast("WebSocket", socket), hub, hub.attach()).__await__().__next__()
    return socket, hub


def test_samples_of_a_twentieth_of_a_second_travel_together(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, slept = Hub(("127.0.0.1", 1), clock_us=lambda: 1), list[float]()
    browser = hub.attach()
    hub.subscribe(browser, [BED], 0.0)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        for _ in range(3):
            hub._take(Message(f"ecg/v1/{BED}/chunk", CHUNK, 1, retained=False, _mid=0, _qos=0, _connection=0))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(Hub, "is_alive", property(lambda _: len(slept) < 5))
    socket = Socket()
    with contextlib.suppress(StopIteration):
        _write(cast("WebSocket", socket), hub, browser).__await__().__next__()
    assert slept == [0.05] * 5
    assert [HEADER.unpack_from(message)[3] for message in socket.sent] == [3] * 4


def asking(**request: object) -> dict[str, str]:
    return {"text": json.dumps(request)}


def test_a_subscription_is_answered_with_history() -> None:
    socket, _ = served(asking(subscribe=[BED], history_s=10), asking(subscribe=[BED]))
    (message,) = socket.sent
    assert message[:4] == b"WL\x01\x01"
    assert socket.closed is None


def test_subscribing_to_the_unknown_is_answered_with_nothing() -> None:
    socket, _ = served(asking(subscribe=["no/body"]))
    assert socket.sent == []
    assert socket.closed is None


def test_an_alarm_that_is_not_there_is_not_acknowledged() -> None:
    socket, hub = served(asking(acknowledge={"device": BED, "kind": "asystole", "who": "A"}))
    assert not hub._requests
    assert socket.closed is None


@pytest.mark.parametrize(
    ("request_", "topic", "payload"),
    [
        ({"pause": {"who": "A", "on": True}}, "wl/v1/pause", {"who": "A", "on": True}),
        (
            {"limits": {"who": "A", "device": BED, "rate_low_bpm": 45, "rate_high_bpm": 130.5}},
            f"wl/v1/limits/{BED}",
            {
                "who": "A",
                "rate_low_bpm": 45.0,
                "rate_high_bpm": 130.5,
                "rate_extreme_low_bpm": None,
                "rate_extreme_high_bpm": None,
            },
        ),
        (
            {"limits": {"who": "A", "device": BED, "reset": True}},
            f"wl/v1/limits/{BED}",
            {"who": "A", "reset": True},
        ),
        (
            {"annotate": {"who": "A", "device": "no/body", "id": "n1", "from_us": 5, "text": "walks"}},
            "wl/v1/annotate/no/body",
            {"who": "A", "id": "n1", "from_us": 5, "to_us": None, "text": "walks"},
        ),
        (
            {"annotate": {"who": "A", "device": BED, "id": "n1", "remove": True}},
            f"wl/v1/annotate/{BED}",
            {"who": "A", "id": "n1", "remove": True},
        ),
        ({"discharge": {"who": "A", "device": BED}}, f"wl/v1/discharge/{BED}", {"who": "A"}),
        (
            {"explain": {"who": "A", "device": BED, "session": 7, "first_sample": 5000, "superclass": "MI"}},
            f"wl/v1/explain/{BED}",
            {
                "session": 7,
                "first_sample": 5000,
                "superclass": "MI",
                "rhythm": None,
                "method": "gradient_shap",
            },
        ),
        (
            {"discharge": {"who": "A", "device": "wristlead/explain"}},
            "wl/v1/discharge/wristlead/explain",
            {"who": "A"},
        ),
    ],
)
def test_what_a_person_asks_is_published_as_its_page_says(
    request_: dict[str, Any], topic: str, payload: dict[str, Any]
) -> None:
    socket, hub = served(asking(**request_))
    assert socket.closed is None
    ((told_on, told),) = hub._requests
    assert told_on == topic
    assert json.loads(told) == payload


@pytest.mark.parametrize(
    "request_",
    [
        {"limits": {"who": "A", "device": "no/body", "reset": True}},
        {"discharge": {"who": "A", "device": "no/body"}},
        {"explain": {"who": "A", "device": "no/body", "session": 7, "first_sample": 0, "superclass": "MI"}},
        {"discharge": {"who": "A", "device": "wristlead/notify"}},
        {"channel_test": {"who": "A", "name": "unknown"}},
        {"annotate": {"who": "A", "device": "no/body/#", "id": "n1", "remove": True}},
        {"channel_test": {"who": "A", "name": "a/b/#"}},
    ],
)
def test_what_concerns_nobody_is_not_published(request_: dict[str, Any]) -> None:
    socket, hub = served(asking(**request_))
    assert socket.closed is None
    assert not hub._requests


@pytest.mark.parametrize(
    "request_",
    [
        {"text": "hello"},
        {"text": '{"nested":' + "[" * 5_000},
        {"bytes": b"\x00"},
        asking(subscribe="ward/bed"),
        asking(publish="wl/v1/alarm/ward/bed/asystole"),
        asking(acknowledge={"device": BED}),
        asking(pause={"who": "A", "on": "perhaps"}),
        asking(explain={"who": "A", "device": BED, "session": 7, "first_sample": 0}),  # of what?
        asking(limits={"who": "A", "device": BED, "rate_low_bpm": "low"}),
        asking(limits={"who": "A", "device": BED, "rate_lowest_bpm": 5}),
    ],
)
def test_anything_else_closes_the_connection(request_: dict[str, Any]) -> None:
    socket, hub = served(request_, asking(subscribe=[BED]))
    assert socket.closed == 1008
    assert socket.sent == []
    assert not hub._requests
