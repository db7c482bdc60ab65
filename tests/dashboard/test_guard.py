"""Foreign pages and foreign names get 403, on the pages and on the live route alike."""

import contextlib
from typing import Any

import pytest

from dashboard.guard import Guard, own_names, refusal

NAMES = own_names("wall.example")
PASSED = "passed"


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8050", "[::1]:8050", "localhost:8050", "wall.example", "10.0.0.9"]
)
def test_our_own_pages_pass_under_every_name_of_ours(host: str) -> None:
    assert refusal({"host": host, "origin": f"http://{host}"}, NAMES, needs_origin=True) is None
    assert refusal({"host": host}, NAMES, needs_origin=False) is None


@pytest.mark.parametrize(
    ("host", "origin", "reason"),
    [
        ("evil.example:8050", "http://evil.example:8050", "not a name of this server"),  # DNS rebinding
        ("", "http://127.0.0.1", "not a name"),
        ("127.0.0.1:8050", "http://evil.example", "is not this server"),
        ("127.0.0.1:8050", "http://127.0.0.1:9000", "is not this server"),  # another program's page
        ("127.0.0.1:8050", "null", "is not this server"),
        ("127.0.0.1:8050", None, "must name its origin"),
    ],
)
def test_foreign_pages_and_names_are_refused_with_the_reason(
    host: str, origin: str | None, reason: str
) -> None:
    headers = {"host": host} | ({} if origin is None else {"origin": origin})
    assert reason in str(refusal(headers, NAMES, needs_origin=True))


def answer(kind: str, headers: dict[str, str], method: str = "GET") -> list[dict[str, Any]]:
    """What the guard sends for one request; an app behind it that lets everything through."""
    sent: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        if kind == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        else:
            await send({"type": "websocket.accept"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "method": method, "path": "/assets/main.mjs", "headers": encoded}
    with contextlib.suppress(StopIteration):  # nothing here ever waits, so one step runs it through
        Guard(app, NAMES)(scope, receive, send).__await__().__next__()
    return sent


def test_a_refused_websocket_is_closed_before_it_is_accepted() -> None:
    headers = {"host": "127.0.0.1:8050", "origin": "http://evil.example"}
    assert answer("websocket", headers) == [{"type": "websocket.close", "code": 1008}]
    own = headers | {"origin": "http://127.0.0.1:8050"}
    assert answer("websocket", own) == [{"type": "websocket.accept"}]


def test_a_refused_request_gets_403_and_its_reason() -> None:
    start, body = answer("http", {"host": "evil.example"})
    assert start["status"] == 403
    assert b"evil.example" in body["body"]


def test_a_post_without_an_origin_is_refused() -> None:
    assert answer("http", {"host": "127.0.0.1"}, method="POST")[0]["status"] == 403
    assert answer("http", {"host": "127.0.0.1"}, method="GET")[0]["status"] == 200


def test_no_foreign_page_may_frame_ours() -> None:
    (start,) = answer("http", {"host": "127.0.0.1"})
    assert (b"x-frame-options", b"DENY") in start["headers"]
