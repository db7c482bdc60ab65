"""The store as the dashboard reads it, asked by many threads."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dashboard.past import Past
from ingest.store.schema import open_store


def test_one_who_waits_for_the_store_holds_up_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_waiting, may_go_on = threading.Event(), threading.Event()

    def slow_at_first(url: str, *, busy_wait_ms: int) -> Engine:
        if not is_waiting.is_set():
            is_waiting.set()
            may_go_on.wait(10)
        return open_store(url, busy_wait_ms=busy_wait_ms)

    monkeypatch.setattr("dashboard.past.open_store", slow_at_first)
    past = Past(f"sqlite:///{tmp_path / 'store.sqlite'}")
    first = threading.Thread(target=past.ask, args=(lambda _engine: None,))
    first.start()
    assert is_waiting.wait(10)
    assert past.ask(lambda _engine: "an answer") == "an answer"
    assert first.is_alive()
    may_go_on.set()
    first.join(10)
    assert not first.is_alive()
