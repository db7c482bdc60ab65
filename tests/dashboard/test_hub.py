"""What waits for a browser is bounded, what is dropped is counted, and only real alarms are acknowledged."""

import socket

import numpy as np
import pytest

from dashboard.hub import Browser, Hub
from dashboard.patient_state import Segment
from dashboard.requests import Acknowledge
from dashboard.service import run
from ingest.chunk import ChunkFlag
from ingest.link import Message
from ingest.settings import load_settings

BED = "ward/bed"
NOBODY = ("127.0.0.1", 1)  # never connected: these tests hand messages over themselves


def segment(first_sample: int, device: str = BED) -> Segment:
    return Segment(device, 0, 1, first_sample, 500.0, ChunkFlag(0), np.zeros(125, np.float32), 0)


def message(topic: str, payload: bytes) -> Message:
    return Message(topic, payload, received_us=1, retained=False, _mid=0, _qos=0, _connection=0)


def looking_at(*devices: str, max_queued: int = 3) -> Browser:
    browser = Browser(max_queued)
    browser.devices = frozenset(devices)
    return browser


def test_a_slow_browser_loses_the_oldest_and_the_loss_is_counted() -> None:
    browser = looking_at(BED)
    for k in range(5):
        browser.offer(segment(k))
    assert [s.first_sample for s in browser.drain()] == [2, 3, 4]
    assert browser.dropped == 2
    assert browser.drain() == []


def test_a_browser_gets_only_what_it_looks_at() -> None:
    browser = looking_at(BED)
    browser.offer(segment(0, "ward/other"))
    assert browser.drain() == []
    assert browser.dropped == 0


def test_subscribing_gives_history_once_and_only_of_new_patients(chunk_payload: bytes) -> None:
    hub = Hub(NOBODY, clock_us=lambda: 1)
    hub._take(message(f"ecg/v1/{BED}/chunk", chunk_payload))
    browser = hub.attach()
    assert [s.device for s in hub.subscribe(browser, [BED], 10.0)] == [BED]
    assert hub.subscribe(browser, [BED, "ward/unheard"], 10.0) == []
    hub._take(message(f"ecg/v1/{BED}/chunk", chunk_payload))
    assert len(hub.take(browser)) == 1
    hub.detach(browser)
    hub._take(message(f"ecg/v1/{BED}/chunk", chunk_payload))
    assert hub.take(browser) == []


def test_state_tells_the_whole_once_and_then_what_changed(chunk_payload: bytes) -> None:
    hub = Hub(NOBODY, clock_us=lambda: 77)
    hub._take(message(f"ecg/v1/{BED}/chunk", chunk_payload))
    browser = hub.attach()
    first, second = hub.state(browser), hub.state(browser)
    assert (first.at_us, first.broker, first.devices) == (77, False, (BED,))
    assert len(first.patients) == 1
    assert second.patients == ()
    assert second.devices == (BED,)


def test_only_an_alarm_that_is_there_can_be_acknowledged() -> None:
    hub = Hub(NOBODY, clock_us=lambda: 1)
    assert not hub.ask(Acknowledge(device=BED, kind="asystole", who="A. B."))
    alarm = (
        b'{"device":"ward/bed","kind":"asystole","queue":"physiological","priority":"high","state":"on",'
        b'"text":"ASYSTOLE 6 s","since_us":1,"at_us":1}'
    )
    hub._take(message(f"wl/v1/alarm/{BED}/asystole", alarm))
    assert hub.ask(Acknowledge(device=BED, kind="asystole", who=" A. B. " + "x" * 99))
    ((topic, payload),) = hub._requests
    assert topic == f"wl/v1/acknowledge/{BED}/asystole"
    assert payload == b'{"who":"A. B. ' + b"x" * 58 + b'"}'


@pytest.fixture
def chunk_payload() -> bytes:
    return b'{"v":1,"sess":"00000001","seq":0,"i0":0,"t0_us":1,"fs":500,"lead":"I","unit":"uV","y":[1,2,3]}'


def test_a_busy_port_is_one_clear_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"cannot listen on 127\.0\.0\.1:{port} \(Addr.* in use\)"):
            run(load_settings(dashboard_port=port))
