"""Real deliveries by apprise to stand-ins on loopback; secrets stay where they are."""

import email
import logging
import threading
import time
from email import policy

import pytest

from inference.alarms.alarm import AlarmPriority
from inference.notify.channels import describe, open_channels
from inference.notify.configuration import Channel, ChannelError, NotifyConfig, address_of
from inference.notify.courier import MAX_HANGING, Couriers, Delivered
from inference.notify.delivery import open_channel, redact, scheme_of
from inference.notify.texts import Letter
from tests.inference.notify.stand_ins import http_stand_in, smtp_stand_in

LETTER = Letter("*** ASYSTOLE 6 s - icu/bed-04", "ASYSTOLE 6 s\nicu/bed-04", AlarmPriority.HIGH)
SECRET = "tk-0123456789"


def outcomes(couriers: Couriers, count: int, within_s: float = 30.0) -> list[Delivered]:
    ended: list[Delivered] = []
    deadline = time.monotonic() + within_s
    while len(ended) < count and time.monotonic() < deadline:
        ended += couriers.collect()
        threading.Event().wait(0.01)
    return ended


def test_a_webhook_gets_title_and_body() -> None:
    with http_stand_in() as server:
        assert open_channel(f"json://127.0.0.1:{server.port}/hook")(LETTER) is None
        came = server.came.get(timeout=10)
    assert (came["title"], came["message"], came["type"]) == (LETTER.title, LETTER.body, "failure")


def test_ntfy_gets_title_body_and_topic() -> None:
    with http_stand_in() as server:
        assert open_channel(f"ntfy://127.0.0.1:{server.port}/ward?priority=high")(LETTER) is None
        came = server.came.get(timeout=10)
    assert (came["topic"], came["title"], came["message"]) == ("ward", LETTER.title, LETTER.body)
    assert "github" not in str(came)  # no picture from elsewhere


def test_ntfy_messages_follow_each_other_without_a_pause_of_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_to_sleep(_seconds: float) -> None:
        raise AssertionError("apprise sleeps 5.5 s between two messages")

    with http_stand_in() as server:
        deliver = open_channel(f"ntfy://127.0.0.1:{server.port}/ward")
        monkeypatch.setattr("apprise.url.time.sleep", refuse_to_sleep)
        assert [deliver(LETTER) for _ in range(3)] == [None] * 3
        assert server.came.qsize() == 3


def test_an_e_mail_arrives_whole() -> None:
    with smtp_stand_in() as server:
        url = f"mailto://127.0.0.1:{server.port}?from=ecg@example.org&to=nurse@example.org"
        assert open_channel(url)(LETTER) is None
        came = email.message_from_string(server.came.get(timeout=10), policy=policy.default)
    assert came["Subject"] == LETTER.title
    assert came["To"] == "nurse@example.org"
    part = came.get_body(("plain", "html"))
    assert part is not None
    assert "ASYSTOLE 6 s" in part.get_content()


def test_a_refusal_is_told_in_words_and_the_address_is_neither_told_nor_logged(
    capfd: pytest.CaptureFixture[str],
) -> None:
    logged: list[logging.LogRecord] = []
    listener = logging.Handler()
    listener.emit = logged.append  # type: ignore[method-assign, assignment]
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    with http_stand_in() as server:
        server.status = 403
        reason = open_channel(f"json://nurse:{SECRET}@127.0.0.1:{server.port}/{SECRET}")(LETTER)
    root.removeHandler(listener)
    root.setLevel(level)
    assert reason is not None
    assert "403" in reason
    assert not logged
    assert SECRET not in reason
    assert SECRET not in "".join(capfd.readouterr())


def test_a_server_that_is_not_there_is_told_without_its_address() -> None:
    with http_stand_in() as server:
        port = server.port
    reason = open_channel(f"json://{SECRET}.example.invalid:{port}/hook")(LETTER)
    assert reason is not None
    assert SECRET not in reason


@pytest.mark.parametrize(
    "url",
    [
        f"ntfys://{SECRET}@ntfy.example.org/ward",
        f"tgram://123456789:{SECRET}/12315544/",
        f"mailtos://nurse%40example.org:{SECRET}@mail.example.org?to=doctor@example.org",
        f"jsons://example.org/hook?+Authorization={SECRET}",
    ],
)
def test_no_piece_of_an_address_survives_in_a_reason(url: str) -> None:
    assert SECRET not in redact(f"could not send to {url}, token {SECRET}\nsecond line", url)
    assert "nurse@example.org" not in redact("login of nurse@example.org failed", url) or "nurse" not in url
    assert scheme_of(url) == url.partition("://")[0]


def test_an_address_that_is_none_is_refused_without_being_told() -> None:
    with pytest.raises(ChannelError, match=r"docs/notify\.md") as refusal:
        open_channel(f"nothing://{SECRET}")
    assert SECRET not in str(refusal.value)


def channel(url: str, name: str = "phone") -> Channel:
    return Channel.model_validate({"name": name, "url": url})


def test_variables_are_filled_in_and_escaped_unless_they_are_the_whole_address() -> None:
    environment = {"TOKEN": "a/b@c", "WHOLE": "json://127.0.0.1/x"}
    assert address_of(channel("ntfys://${TOKEN}@host/ward"), environment) == "ntfys://a%2Fb%40c@host/ward"
    assert address_of(channel("${WHOLE}"), environment) == "json://127.0.0.1/x"
    with pytest.raises(ChannelError, match="ABSENT"):
        address_of(channel("ntfys://${ABSENT}@host/ward"), environment)


def test_one_channel_that_cannot_be_used_says_why_and_harms_no_other() -> None:
    config = NotifyConfig(
        channel=(channel("json://127.0.0.1:1/", "good"), channel(f"nothing://{SECRET}", "bad"))
    )
    delivers, broken = open_channels(config, {})
    assert list(delivers) == ["good", "bad"]
    assert list(broken) == ["bad"]
    assert delivers["bad"](LETTER) == broken["bad"]
    line = describe(config.channel[1], {}, broken["bad"])
    assert line.startswith("bad: nothing, level 0, medium and above, all sites")
    assert SECRET not in line


def test_without_apprise_each_channel_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.notify.channels.is_installed", lambda: False)
    _, broken = open_channels(NotifyConfig(channel=(channel("json://127.0.0.1/"),)), {})
    assert "wristlead[notify]" in broken["phone"]


def test_a_server_that_hangs_delays_no_other_channel_and_is_given_up() -> None:
    now_s = [0.0]
    with http_stand_in(is_hanging=True) as hanging, http_stand_in() as good:
        delivers = {
            name: open_channel(f"json://127.0.0.1:{each.port}/")
            for name, each in (("hanging", hanging), ("good", good))
        }
        couriers = Couriers(delivers, deadline_s=1.0, monotonic_s=lambda: now_s[0])
        couriers.send("hanging", 1, LETTER)
        hanging.came.get(timeout=10)  # it has the request, and will not answer
        couriers.send("good", 2, LETTER)
        assert outcomes(couriers, 1) == [Delivered("good", 2, None)]
        now_s[0] = 2.0
        assert outcomes(couriers, 1) == [Delivered("hanging", 1, "it did not answer within 1 s")]
        assert couriers.n_hanging == 1


def test_a_channel_that_hangs_again_and_again_is_not_begun_any_more() -> None:
    now_s, let_go, begun = [0.0], threading.Event(), threading.Semaphore(0)

    def hang(_letter: Letter) -> str | None:
        begun.release()
        let_go.wait(60)
        return None

    couriers = Couriers({"phone": hang}, deadline_s=1.0, monotonic_s=lambda: now_s[0])
    for number in range(MAX_HANGING):
        couriers.send("phone", number, LETTER)
        assert begun.acquire(timeout=10)
        now_s[0] += 2.0
        assert [each.number for each in couriers.collect()] == [number]
    couriers.send("phone", 99, LETTER)
    (last,) = couriers.collect()
    assert last.reason is not None
    assert "still hang" in last.reason
    let_go.set()
    deadline = time.monotonic() + 10
    while couriers.n_hanging and time.monotonic() < deadline:
        assert couriers.collect() == []  # they were given up: nobody waits for how they ended
    assert couriers.n_hanging == 0


def test_a_channel_that_raises_is_a_failed_attempt() -> None:
    def break_down(_letter: Letter) -> str | None:
        raise RuntimeError(SECRET)

    couriers = Couriers({"phone": break_down})
    couriers.send("phone", 1, LETTER)
    assert outcomes(couriers, 1) == [Delivered("phone", 1, "sending failed: RuntimeError")]
