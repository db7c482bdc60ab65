"""The notifier between a broker, a store, channels and the clock."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.notify.configuration import Channel, NotifyConfig
from inference.notify.courier import Couriers
from inference.notify.home_assistant import HomeState, discovery_topic
from inference.notify.notifier import CHECKPOINT_S, RETRY_S, SETTLE_S, Notifier
from inference.notify.planner import NotificationPlanner
from inference.notify.records import load_memory, save_memory
from inference.notify.texts import Letter
from ingest.link import Message, MqttLink
from ingest.metrics import FOR_PEOPLE, METRICS
from ingest.store.schema import STORE_OK, open_store
from ingest.topics import (
    CHANNELS,
    SERVICES,
    alarm_topic,
    channel_test_topic,
    channel_topic,
    device_topic,
    discharge_topic,
    name_in_force_topic,
    summary_topic,
    vitals_topic,
)
from ingest.vitals import SignalState, Vitals
from tests.inference.notify.stand_ins import StandIn, http_stand_in

if TYPE_CHECKING:
    from tests.conftest import Mosquitto

DEVICE = "icu/bed-04"
START_US = 1_790_000_000_000_000
ALARM = Alarm(
    DEVICE,
    AlarmKind.ASYSTOLE,
    AlarmQueue.PHYSIOLOGICAL,
    AlarmPriority.HIGH,
    AlarmState.ON,
    "ASYSTOLE 6 s",
    START_US,
    START_US,
)


class StandInLink:
    """In place of the broker: what it brings, and what was sent to it."""

    def __init__(self) -> None:
        self.is_subscribed = True
        self.inbox: list[Message] = []
        self.retained: dict[str, bytes] = {}

    def bring(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        self.inbox.append(Message(topic, payload, START_US, retained, _mid=1, _qos=1, _connection=1))

    def poll(self, timeout_s: float) -> list[Message]:  # noqa: ARG002 - the signature is the link's
        messages, self.inbox = self.inbox, []
        return messages

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        assert retain
        if not topic or {"+", "#"} & set(topic) or len(topic.encode()) > 65535:
            raise ValueError(f"{topic!r} is no topic to publish on")  # as paho does
        if payload:
            self.retained[topic] = payload
        else:
            self.retained.pop(topic, None)


class Bench:
    """A notifier on a stand-in link, with channels that the test answers for and a clock that it turns."""

    def __init__(self, url: str, *names: str, home: HomeState | None = None, **told: object) -> None:
        self.link = StandInLink()
        self.now_us = START_US
        self.letters: list[tuple[str, Letter]] = []
        self.reasons: dict[str, str] = {}
        self.trouble: OperationalError | None = None
        self._url = url
        channels = tuple(
            Channel.model_validate({"name": name, "url": "json://127.0.0.1/", "level": level, **told})
            for level, name in enumerate(names)
        )
        self.couriers = Couriers(
            {each.name: self._deliver(each.name) for each in channels}, monotonic_s=self._monotonic_s
        )
        self.notifier = Notifier(
            self.link,
            self._open,
            NotificationPlanner(NotifyConfig(channel=channels)),
            self.couriers,
            broken={},
            home=home,
            clock_us=lambda: self.now_us,
            monotonic_s=self._monotonic_s,
        )
        self.notifier.start()

    def bring(self, alarm: Alarm) -> None:
        self.link.bring(alarm_topic(alarm.device, alarm.kind), msgspec.json.encode(alarm), retained=True)
        self.step()

    def step(self, seconds: float = 0.0) -> None:
        """One round, and rounds until what was begun by it has ended."""
        self.now_us += round(seconds * 1e6)
        self.notifier.step()
        deadline = time.monotonic() + 20
        while self.couriers._attempts and time.monotonic() < deadline:
            self.notifier.step()

    def state(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.link.retained[channel_topic(name)])
        return found

    def _monotonic_s(self) -> float:
        return self.now_us / 1e6

    def _open(self) -> Engine:
        if self.trouble is not None:
            raise self.trouble
        return open_store(self._url)

    def _deliver(self, name: str) -> Callable[[Letter], str | None]:
        def deliver(letter: Letter) -> str | None:
            self.letters.append((name, letter))
            return self.reasons.get(name)

        return deliver


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.sqlite'}"


def test_an_alarm_is_told_and_the_channel_says_so(url: str) -> None:
    bench = Bench(url, "phone")
    bench.step()
    assert bench.state("phone") == {
        "ok": True,
        "reason": None,
        "at_us": START_US,
        "level": 0,
        "min_priority": "medium",
        "sent": 0,
        "failed": 0,
        "last_sent_us": None,
    }
    bench.bring(ALARM)
    assert [(name, letter.title) for name, letter in bench.letters] == [
        ("phone", "*** ASYSTOLE 6 s - icu/bed-04")
    ]
    assert bench.state("phone") | {"sent": 1, "last_sent_us": START_US} == bench.state("phone")


def test_a_channel_that_fails_says_why_and_the_next_level_is_told(url: str) -> None:
    bench = Bench(url, "phone", "doctor")
    bench.reasons["phone"] = "no answer"
    bench.bring(ALARM)
    assert [name for name, _ in bench.letters] == ["phone", "doctor"]
    state = bench.state("phone")
    assert (state["ok"], state["reason"], state["failed"]) == (False, "no answer", 1)
    del bench.reasons["phone"]
    bench.step(10)
    assert (bench.state("phone")["ok"], bench.state("phone")["reason"]) == (True, None)


def test_after_a_restart_nothing_is_told_twice_and_what_was_not_taken_is_told(url: str) -> None:
    first = Bench(url, "phone")
    first.bring(ALARM)
    other = replace(ALARM, device="icu/bed-05")
    first.reasons["phone"] = "no answer"
    first.bring(other)
    # Killed here: nothing is saved beyond what was saved already.
    second = Bench(url, "phone")
    second.bring(ALARM)
    second.bring(other)
    assert [letter.title for _, letter in second.letters] == ["*** ASYSTOLE 6 s - icu/bed-05"]


def test_an_alarm_that_went_off_while_nobody_listened_is_known_to_be_off(url: str) -> None:
    first = Bench(url, "phone", follow_up=True)
    first.bring(ALARM)
    first.notifier.stop()
    second = Bench(url, "phone", follow_up=True)
    second.step()
    second.step(SETTLE_S + 1)
    second.step(10)
    assert [letter.title for _, letter in second.letters] == ["Ended: ASYSTOLE 6 s - icu/bed-04"]


def test_messages_go_on_while_the_store_fails(url: str) -> None:
    bench = Bench(url, "phone")
    bench.notifier._engine = None
    bench.trouble = OperationalError("open", None, Exception("disk full"))
    bench.bring(ALARM)
    bench.step()
    assert len(bench.letters) == 1
    assert bench.notifier.counters()["store"] == "disk full"
    bench.trouble = None
    bench.step(RETRY_S + 1)
    assert bench.notifier.counters()["store"] == STORE_OK
    engine = open_store(url)
    assert b"icu/bed-04/asystole" in (load_memory(engine) or b"")
    engine.dispose()


def test_a_memory_that_cannot_be_read_means_that_what_is_on_is_told_again(url: str) -> None:
    engine = open_store(url)
    save_memory(engine, b'{"tracked": 3}')
    engine.dispose()
    bench = Bench(url, "phone")
    bench.bring(ALARM)
    assert len(bench.letters) == 1


def test_a_test_is_sent_and_reported_also_when_it_fails(url: str) -> None:
    bench = Bench(url, "phone")
    bench.link.bring(channel_test_topic("phone"), b'{"who":"Kim"}')
    bench.step()
    assert bench.letters[0][1].title == "Test from Wristlead"
    assert "Kim" not in bench.letters[0][1].body
    assert bench.state("phone")["sent"] == 1
    bench.reasons["phone"] = "no answer"
    bench.link.bring(channel_test_topic("phone"), b'{"who":"Kim"}')
    bench.step()
    assert (bench.state("phone")["ok"], bench.state("phone")["failed"]) == (False, 1)


@pytest.mark.parametrize(
    ("topic", "payload", "retained"),
    [
        (channel_test_topic("phone"), b"{}", False),
        (channel_test_topic("phone"), b'{"who":" "}', False),
        (channel_test_topic("phone"), b'{"who":"Kim"}', True),
        (channel_test_topic("absent"), b'{"who":"Kim"}', False),
        (alarm_topic(DEVICE, "asystole"), b"nonsense", True),
        (alarm_topic("icu/other", "asystole"), msgspec.json.encode(ALARM), True),
        (device_topic(DEVICE, "meta"), b"[" * 5000, True),
    ],
)
def test_what_cannot_be_understood_is_counted_and_tells_nobody(
    url: str, topic: str, payload: bytes, *, retained: bool
) -> None:
    bench = Bench(url, "phone")
    bench.link.bring(topic, payload, retained=retained)
    bench.step()
    assert bench.letters == []
    assert bench.notifier.counters()["refused"] == 1


def test_what_is_retained_of_a_channel_that_is_gone_is_taken_away(url: str) -> None:
    bench = Bench(url, "phone")
    for name in ("phone", "gone"):
        bench.link.retained[channel_topic(name)] = b"{}"
        bench.link.bring(channel_topic(name), b"{}", retained=True)
    bench.step()
    assert list(bench.link.retained) == [channel_topic("phone")]


def test_what_others_let_home_assistant_discover_is_left_alone(url: str) -> None:
    bench = Bench(url, home=HomeState())
    bench.link.bring("homeassistant/device/alarm/kitchen/config", b"{}", retained=True)
    bench.link.bring(discovery_topic(DEVICE), b"{}", retained=True)
    bench.step()
    assert set(bench.link.retained) == {discovery_topic(DEVICE), summary_topic(DEVICE)}
    assert bench.notifier.counters()["refused"] == 0


def test_names_are_those_that_devices_give_themselves(url: str) -> None:
    bench = Bench(url, "phone", show_names=True)
    bench.link.bring(device_topic(DEVICE, "meta"), b'{"name":"Ann\\u0000 Example"}', retained=True)
    bench.bring(ALARM)
    assert bench.letters[0][1].title == "*** ASYSTOLE 6 s - Ann Example (icu/bed-04)"


@pytest.mark.parametrize("show_names", [True, False])
def test_names_that_people_gave_come_first_and_leave_only_where_names_may(
    url: str, *, show_names: bool
) -> None:
    bench = Bench(url, "phone", show_names=show_names)
    bench.link.bring(
        name_in_force_topic(DEVICE), b'{"name":"Mrs Example","who":"Kim","at_us":1}', retained=True
    )
    bench.link.bring(name_in_force_topic("icu"), b'{"name":"Ward 4","who":"Kim","at_us":1}', retained=True)
    bench.link.bring(device_topic(DEVICE, "meta"), b'{"name":"watch"}', retained=True)
    bench.bring(ALARM)
    shown = "Mrs Example, Ward 4 (icu/bed-04)" if show_names else "icu/bed-04"
    assert bench.letters[0][1].title == f"*** ASYSTOLE 6 s - {shown}"
    bench.link.bring(name_in_force_topic(DEVICE), b"")  # discharged
    bench.link.bring(name_in_force_topic("icu"), b"")
    bench.bring(replace(ALARM, kind=AlarmKind.LEAD_OFF, text="Lead off"))
    shown = "watch (icu/bed-04)" if show_names else "icu/bed-04"
    assert bench.letters[1][1].title == f"*** Lead off - {shown}"


def test_a_damaged_name_is_refused_and_changes_nothing(url: str) -> None:
    bench = Bench(url, "phone", show_names=True)
    bench.link.bring(name_in_force_topic(DEVICE), b'{"name":"Mrs Example"}', retained=True)
    for topic, payload in (
        (name_in_force_topic(DEVICE), b'{"name":7}'),
        (name_in_force_topic(DEVICE), b"[" * 5000),
        (name_in_force_topic("a/b/c"), b'{"name":"X"}'),
    ):
        bench.link.bring(topic, payload, retained=True)
    bench.bring(ALARM)
    assert bench.notifier.counters()["refused"] == 3
    assert bench.letters[0][1].title == "*** ASYSTOLE 6 s - Mrs Example (icu/bed-04)"


def test_a_quiet_notifier_saves_now_and_then(url: str) -> None:
    bench = Bench(url, "phone")
    bench.bring(replace(ALARM, priority=AlarmPriority.LOW))
    bench.step(CHECKPOINT_S + 1)
    engine = open_store(url)
    assert b"icu/bed-04" in (load_memory(engine) or b"")
    engine.dispose()


def test_home_automation_is_told_of_devices_and_of_their_leaving(url: str) -> None:
    bench = Bench(url, home=HomeState())
    vitals = Vitals(DEVICE, 1, START_US, 500, 72.4, 0.4, SignalState.GOOD)
    bench.link.bring(vitals_topic("icu"), msgspec.json.encode([vitals]))
    bench.bring(ALARM)
    assert set(bench.link.retained) == {discovery_topic(DEVICE), summary_topic(DEVICE)}
    assert msgspec.json.decode(bench.link.retained[summary_topic(DEVICE)])["alarm"] == "high"
    bench.link.bring(discharge_topic(DEVICE), b'{"who":"Kim"}')
    bench.step()
    assert bench.link.retained == {}


def test_what_notify_tells_is_exported(url: str) -> None:
    known = {metric.key for metric in METRICS["notify"]} | {"store"} | FOR_PEOPLE
    assert set(Bench(url, "phone").notifier.counters()) <= known


# --- real processes on a real broker ------------------------------------------------------------------


class House:
    """`wristlead notify` on a real broker, with channels that lead to stand-ins."""

    def __init__(self, broker: "Mosquitto", folder: Path, **ports: int) -> None:
        self._broker, self._folder = broker, folder
        tables = [
            f'[[channel]]\nname = "{name}"\nlevel = {level}\nburst = 50\nurl = "json://127.0.0.1:{port}/"\n'
            for level, (name, port) in enumerate(ports.items())
        ]
        (folder / "channels.toml").write_text("\n".join(tables))
        self.link = MqttLink(broker.address, "test")
        self.link.subscribe(CHANNELS)
        self.link.subscribe(SERVICES)
        self.link.subscribe("homeassistant/#")
        self.link.connect()
        self.retained: dict[str, Any] = {}

    @contextmanager
    def notify(self) -> Iterator[subprocess.Popen[bytes]]:
        environment = {
            **os.environ,
            "WRISTLEAD_BROKER": f"127.0.0.1:{self._broker.port}",
            "WRISTLEAD_DATA_DIR": str(self._folder),
            "WRISTLEAD_NOTIFY_CONFIG": str(self._folder / "channels.toml"),
            "WRISTLEAD_HOME_ASSISTANT": "true",
            "WRISTLEAD_DASHBOARD_URL": "http://ecg.local",
        }
        command = [sys.executable, "-m", "wristlead", "notify"]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def publish(self, alarm: Alarm) -> None:
        self.link.publish(
            alarm_topic(alarm.device, alarm.kind), msgspec.json.encode(alarm), qos=1, retain=True
        )

    def await_that(self, is_met: Callable[[], object], within_s: float = 40.0) -> None:
        deadline = time.monotonic() + within_s
        while not is_met():
            assert time.monotonic() < deadline, self.retained
            for message in self.link.poll(0.05):
                self.retained[message.topic] = (
                    msgspec.json.decode(message.payload) if message.payload else None
                )

    def state(self, name: str) -> dict[str, Any]:
        return self.retained.get(channel_topic(name)) or {}


def dead_port() -> int:
    """A port that nobody listens on any more."""
    with http_stand_in() as server:
        return server.port


@pytest.fixture
def phone() -> Iterator[StandIn]:
    with http_stand_in() as server:
        yield server


@pytest.mark.broker
def test_an_alarm_on_mqtt_becomes_a_request_and_after_a_kill_it_does_not_come_again(
    mosquitto: "Mosquitto", tmp_path: Path, phone: StandIn
) -> None:
    house = House(mosquitto, tmp_path, phone=phone.port)
    with house.notify() as process:
        house.await_that(lambda: house.state("phone"))
        house.publish(ALARM)
        came = phone.came.get(timeout=30)
        assert came["title"] == "*** ASYSTOLE 6 s - icu/bed-04"
        assert f"http://ecg.local/event/icu/bed-04/asystole/{START_US}" in came["message"]
        house.await_that(lambda: house.state("phone").get("sent") == 1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with house.notify():
        house.publish(replace(ALARM, device="icu/bed-05"))
        assert phone.came.get(timeout=30)["title"] == "*** ASYSTOLE 6 s - icu/bed-05"
        house.await_that(lambda: house.state("phone").get("sent") == 2)
        assert phone.came.empty()


@pytest.mark.broker
def test_a_dead_channel_says_that_it_fails_the_next_is_told_and_a_test_finds_it_well_again(
    mosquitto: "Mosquitto", tmp_path: Path, phone: StandIn
) -> None:
    house = House(mosquitto, tmp_path, dead=dead_port(), phone=phone.port)
    with house.notify():
        house.publish(ALARM)
        assert phone.came.get(timeout=30)["title"] == "*** ASYSTOLE 6 s - icu/bed-04"
        house.await_that(lambda: house.state("dead").get("ok") is False)
        assert "127.0.0.1" not in house.state("dead")["reason"]
        house.link.publish(channel_test_topic("phone"), b'{"who":"Kim"}', qos=1)
        assert "A test of the channel phone, asked for at" in phone.came.get(timeout=30)["message"]
        house.await_that(lambda: house.state("phone").get("sent") == 2)


@pytest.mark.broker
def test_a_channel_that_hangs_delays_no_other(mosquitto: "Mosquitto", tmp_path: Path, phone: StandIn) -> None:
    with http_stand_in(is_hanging=True) as hanging:
        house = House(mosquitto, tmp_path, hanging=hanging.port, phone=phone.port)
        (tmp_path / "channels.toml").write_text(
            (tmp_path / "channels.toml").read_text().replace("level = 1", "level = 0")
        )
        with house.notify():
            house.publish(ALARM)
            assert hanging.came.get(timeout=30)["title"] == phone.came.get(timeout=30)["title"]
            for bed in range(5, 10):
                house.publish(replace(ALARM, device=f"icu/bed-{bed}"))
                assert f"bed-{bed}" in phone.came.get(timeout=30)["title"]
            assert not hanging.let_go.is_set()


@pytest.mark.broker
def test_home_assistant_finds_a_device_over_a_real_broker(
    mosquitto: "Mosquitto", tmp_path: Path, phone: StandIn
) -> None:
    house = House(mosquitto, tmp_path, phone=phone.port)
    house.link.subscribe(summary_topic(DEVICE))
    with house.notify():
        house.await_that(lambda: house.state("phone"))
        vitals = Vitals(DEVICE, 1, START_US, 500, 72.4, 0.4, SignalState.GOOD)
        house.link.publish(vitals_topic("icu"), msgspec.json.encode([vitals]), qos=1)
        house.await_that(lambda: house.retained.get(summary_topic(DEVICE)))
        assert house.retained[summary_topic(DEVICE)]["heart_rate_bpm"] == 72
        assert house.retained[discovery_topic(DEVICE)]["dev"]["name"] == DEVICE
        house.link.publish(discharge_topic(DEVICE), b'{"who":"Kim"}', qos=1)
        house.await_that(lambda: house.retained[discovery_topic(DEVICE)] is None)


def command(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wristlead", "notify", *arguments],
        env={**os.environ, "WRISTLEAD_DATA_DIR": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_lists_channels_without_their_addresses(tmp_path: Path) -> None:
    path = tmp_path / "channels.toml"
    path.write_text('[[channel]]\nname = "ward"\nurl = "ntfys://${NTFY_TOKEN}@ntfy.example.org/ward"\n')
    listed = command(tmp_path, "--list", "--notify-config", str(path), NTFY_TOKEN="tk-0123456789")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout == (
        "ward: ntfys, level 0, medium and above, all sites, 5 at once, 6 a minute, without names\n"
    )
    lacking = command(tmp_path, "--list", "--notify-config", str(path))
    assert "CANNOT BE USED: the environment variable NTFY_TOKEN is not set" in lacking.stdout


def test_the_command_sends_a_test(tmp_path: Path, phone: StandIn) -> None:
    path = tmp_path / "channels.toml"
    path.write_text(f'[[channel]]\nname = "hook"\nurl = "json://127.0.0.1:{phone.port}/"\n')
    sent = command(tmp_path, "--test", "hook", "--notify-config", str(path))
    assert sent.returncode == 0, sent.stderr
    assert phone.came.get(timeout=10)["title"] == "Test from Wristlead"
    phone.status = 500
    failed = command(tmp_path, "--test", "hook", "--notify-config", str(path))
    assert failed.returncode != 0
    assert "hook did not take the test: " in failed.stderr
    assert (
        "there is no channel 'absent'"
        in command(tmp_path, "--test", "absent", "--notify-config", str(path)).stderr
    )


def test_with_nobody_to_tell_the_service_says_what_to_set(tmp_path: Path) -> None:
    refused = command(tmp_path)
    assert refused.returncode == 78
    assert "set --notify-config" in refused.stderr
