"""Laws of who is told what, and when, over random lives of alarms and channels."""

import random
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from inference.alarms.alarm import Alarm, AlarmKind, AlarmPriority, AlarmQueue, AlarmState
from inference.alarms.events import Tick
from inference.notify.configuration import Channel, Grouping, NotifyConfig
from inference.notify.notice import DeliveryResult, Ended, Notice
from inference.notify.outbox import MAX_ATTEMPTS, RETRY_MAX_S
from inference.notify.planner import FORGET_S, Event, NotificationPlanner

START_US = 1_790_000_000_000_000
SECOND_US = 1_000_000
SEEDS = range(30)
KINDS = {
    AlarmKind.ASYSTOLE: AlarmPriority.HIGH,
    AlarmKind.EXTREME_RATE: AlarmPriority.HIGH,
    AlarmKind.RATE_LIMIT: AlarmPriority.MEDIUM,
    AlarmKind.LEAD_OFF: AlarmPriority.LOW,
    AlarmKind.FINDING_MI: AlarmPriority.ADVISORY,
}
DEVICES = ("icu/bed-1", "icu/bed-2", "ward/bed-1")
Episode = tuple[str, AlarmKind, int]


def channel(name: str = "phone", **told: object) -> Channel:
    return Channel.model_validate({"name": name, "url": "json://127.0.0.1/", **told})


def config(*channels: Channel, **group: float) -> NotifyConfig:
    return NotifyConfig(group=Grouping(**group), channel=channels or (channel(),))


def alarm(
    kind: AlarmKind = AlarmKind.ASYSTOLE, device: str = "icu/bed-1", at_s: float = 0.0, **told: object
) -> Alarm:
    at_us = START_US + round(at_s * SECOND_US)
    before = Alarm(
        device, kind, AlarmQueue.PHYSIOLOGICAL, KINDS[kind], AlarmState.ON, kind.value, at_us, at_us
    )
    return replace(before, **told)  # type: ignore[arg-type]


def tick(at_s: float) -> Tick:
    return Tick(START_US + round(at_s * SECOND_US))


def result(notice: Notice, reason: str | None = None, at_s: float = 0.0) -> DeliveryResult:
    return DeliveryResult(notice.number, notice.channel, reason, START_US + round(at_s * SECOND_US))


def told(notices: list[Notice]) -> list[tuple[str, list[str]]]:
    return [(each.channel, [line.alarm.kind.value for line in each.lines]) for each in notices]


@dataclass
class World:
    """Alarms that live as the engine lets them, and channels that fail now and then."""

    seed: int
    channels: tuple[Channel, ...]
    p_failure: float = 0.3
    now_us: int = START_US
    alarms: dict[tuple[str, AlarmKind], Alarm] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    taken: list[Notice] = field(default_factory=list)
    raised: set[Episode] = field(default_factory=set)
    on_way: list[Notice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.planner = NotificationPlanner(NotifyConfig(channel=self.channels))

    def live(self, steps: int) -> None:
        for _ in range(steps):
            self.now_us += self.rng.choice((50_000, 1_000_000, 5_000_000, 20_000_000))
            self.push(Tick(self.now_us))
            self.push(self.next_event())
            while self.on_way and self.rng.random() < 0.6:
                self.deliver(self.on_way.pop(0), is_failing=self.rng.random() < self.p_failure)

    def settle(self) -> None:
        """All channels work, and time passes."""
        for _ in range(400):
            self.now_us += 10 * SECOND_US
            self.push(Tick(self.now_us))
            while self.on_way:
                self.deliver(self.on_way.pop(0), is_failing=False)

    def push(self, event: Event) -> None:
        notices = self.planner.push(event)
        self.notices += notices
        self.on_way += notices

    def deliver(self, notice: Notice, *, is_failing: bool) -> None:
        if not is_failing:
            self.taken.append(notice)
        reason = "no answer" if is_failing else None
        self.push(DeliveryResult(notice.number, notice.channel, reason, self.now_us))

    def next_event(self) -> Event:
        key = (self.rng.choice(DEVICES), self.rng.choice(list(KINDS)))
        before = self.alarms.get(key)
        if before is None:
            after = Alarm(
                *key, AlarmQueue.PHYSIOLOGICAL, KINDS[key[1]], AlarmState.ON, "text", self.now_us, self.now_us
            )
        else:
            after = replace(before, at_us=self.now_us, **self.change(before))  # type: ignore[arg-type]
        if after.state is AlarmState.OFF:
            del self.alarms[key]
            return Ended(key[0], key[1].value)
        self.alarms[key] = after
        self.raised.add((*key, after.since_us))
        return after

    def change(self, before: Alarm) -> dict[str, object]:
        """One step of the state machine, a new text, or a passing on."""
        acknowledged: dict[str, object] = {"state": AlarmState.ACK, "who": "Kim"}
        again: dict[str, object] = {"state": AlarmState.ON, "count": before.count + 1, "who": None}
        heard_anew: dict[str, object] = {"state": AlarmState.ON, "escalation": 0, "who": None}
        passed_on: dict[str, object] = {"escalation": min(before.escalation + 1, 3)}
        choices: dict[AlarmState, list[dict[str, object]]] = {
            AlarmState.ON: [
                acknowledged,
                {"state": AlarmState.LATCHED},
                {"state": AlarmState.OFF},
                {"text": "new words"},
                passed_on,
            ],
            AlarmState.LATCHED: [{"state": AlarmState.OFF}, again, passed_on],
            AlarmState.ACK: [heard_anew, {"state": AlarmState.OFF}],
        }
        return self.rng.choice(choices[before.state])


def high_episodes(notices: list[Notice], name: str) -> Counter[tuple[str, AlarmKind]]:
    """How many episodes of each high alarm the messages of a channel speak of."""
    seen: set[Episode] = set()
    earlier: Counter[tuple[str, AlarmKind]] = Counter()
    for notice in notices:
        for line in notice.lines if notice.channel == name else ():
            if line.alarm.priority is AlarmPriority.HIGH and not line.is_follow_up:
                seen.add((line.alarm.device, line.alarm.kind, line.alarm.since_us))
                earlier[line.alarm.device, line.alarm.kind] += line.earlier
    return earlier + Counter((device, kind) for device, kind, _ in seen)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("follow_up", [False, True])
def test_no_high_alarm_is_lost_however_channels_fail_and_limits_hold_it_back(
    seed: int, *, follow_up: bool
) -> None:
    phone = channel(burst=2, per_minute=2, follow_up=follow_up)
    world = World(seed, (phone, channel("doctor", level=1)))
    world.live(300)
    world.settle()
    raised = Counter((device, kind) for device, kind, _ in world.raised if KINDS[kind] is AlarmPriority.HIGH)
    assert high_episodes(world.taken, "phone") == raised


@pytest.mark.parametrize("seed", SEEDS)
def test_no_channel_sends_more_than_its_bucket_allows_over_any_span(seed: int) -> None:
    channels = (channel(burst=3, per_minute=4), channel("doctor", level=1, burst=1, per_minute=1))
    world = World(seed, channels)
    world.live(400)
    for each in channels:
        times_s = [notice.at_us / SECOND_US for notice in world.notices if notice.channel == each.name]
        assert times_s
        for first, begin_s in enumerate(times_s):
            for last, end_s in enumerate(times_s[first:], first):
                allowed = each.burst + (end_s - begin_s) * each.per_minute / 60
                assert last - first + 1 <= allowed + 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_what_comes_twice_is_told_as_if_it_came_once(seed: int) -> None:
    once, twice = (World(seed, (channel(follow_up=True), channel("doctor", level=1))) for _ in range(2))
    push = twice.push

    def push_twice(event: Event) -> None:
        push(event)
        assert not twice.planner.push(event)

    twice.push = push_twice  # type: ignore[method-assign]
    once.live(300)
    twice.live(300)
    assert twice.notices == once.notices


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restart_goes_on_as_if_there_was_none_and_sends_again_only_what_was_on_its_way(seed: int) -> None:
    kept, restarted = (World(seed, (channel(follow_up=True), channel("doctor", level=1))) for _ in range(2))
    for _ in range(30):
        for world in (kept, restarted):
            world.live(10)
            while world.on_way:
                world.deliver(world.on_way.pop(0), is_failing=False)
        planner = NotificationPlanner(NotifyConfig(channel=restarted.channels))
        planner.restore(restarted.planner.snapshot())
        planner.push(Tick(restarted.now_us))
        restarted.planner = planner
    assert restarted.notices == kept.notices


@pytest.mark.parametrize("seed", SEEDS)
def test_a_state_is_told_once_on_a_channel_that_works(seed: int) -> None:
    world = World(seed, (channel(min_priority="low"), channel("doctor", level=1)), p_failure=0.0)
    heard_anew: Counter[Episode] = Counter()
    change = world.change

    def noting(before: Alarm) -> dict[str, object]:
        after = change(before)
        if after.get("state") is AlarmState.ON:
            heard_anew[before.device, before.kind, before.since_us] += 1
        return after

    world.change = noting  # type: ignore[method-assign]
    world.live(500)
    world.settle()
    lines = Counter(
        (notice.channel, line.alarm.device, line.alarm.kind, line.alarm.since_us)
        for notice in world.taken
        for line in notice.lines
    )
    for (_, *episode), times in lines.items():
        assert times <= 1 + heard_anew[episode[0], episode[1], episode[2]]  # type: ignore[index]


def test_a_high_alarm_goes_at_once_and_its_new_words_go_never() -> None:
    planner = NotificationPlanner(config())
    planner.push(tick(0))
    (notice,) = planner.push(alarm())
    assert planner.push(result(notice)) == []
    for second in range(1, 40):
        assert planner.push(tick(second)) == []
        assert planner.push(replace(alarm(), text=f"ASYSTOLE {second} s")) == []


def test_others_within_five_seconds_make_one_message_and_one_that_ended_before_makes_none() -> None:
    planner = NotificationPlanner(config(channel(min_priority="low")))
    planner.push(tick(0))
    assert planner.push(alarm(AlarmKind.LEAD_OFF)) == []
    assert planner.push(alarm(AlarmKind.RATE_LIMIT)) == []
    assert planner.push(tick(3)) == []
    assert planner.push(alarm(AlarmKind.RATE_LIMIT, "icu/bed-2", 3)) == []
    assert planner.push(Ended("icu/bed-1", "lead_off")) == []
    assert planner.push(tick(4.9)) == []
    (notice,) = planner.push(tick(5))
    assert [line.alarm.device for line in notice.lines] == ["icu/bed-2", "icu/bed-1"]


def test_the_last_token_is_kept_for_a_high_alarm_and_what_was_held_back_comes_with_it() -> None:
    planner = NotificationPlanner(config(channel(burst=2, per_minute=1), other_s=0))
    planner.push(tick(0))
    (first,) = planner.push(alarm(AlarmKind.RATE_LIMIT))
    planner.push(result(first))
    assert planner.push(alarm(AlarmKind.RATE_LIMIT, "icu/bed-2")) == []
    assert told(planner.push(alarm(device="icu/bed-3"))) == [("phone", ["asystole", "rate_limit"])]


def test_a_passed_on_alarm_goes_one_level_up_and_is_not_repeated_below() -> None:
    planner = NotificationPlanner(config(channel(), channel("doctor", level=1), channel("head", level=2)))
    planner.push(tick(0))
    (notice,) = planner.push(alarm())
    planner.push(result(notice))
    (second,) = planner.push(alarm(escalation=1))
    assert second.channel == "doctor"
    planner.push(result(second))
    assert told(planner.push(alarm(escalation=3))) == [("head", ["asystole"])]


def test_the_next_level_is_used_at_once_when_all_channels_of_a_high_alarm_failed() -> None:
    channels = (channel(), channel("pager"), channel("doctor", level=1))
    planner = NotificationPlanner(config(*channels))
    planner.push(tick(0))
    first, second = planner.push(alarm())
    assert planner.push(result(first, "no answer")) == []
    (notice,) = planner.push(result(second, "no answer"))
    assert notice.channel == "doctor"


def test_what_waited_behind_a_failed_message_goes_up_with_it() -> None:
    planner = NotificationPlanner(config(channel(), channel("doctor", level=1)))
    planner.push(tick(0))
    (first,) = planner.push(alarm())
    assert planner.push(alarm(device="icu/bed-2")) == []  # the channel is busy with the first
    notices = planner.push(result(first, "no answer", 20))
    assert [(each.channel, len(each.lines)) for each in notices] == [("phone", 2), ("doctor", 2)]


def test_the_next_level_is_not_used_for_a_medium_alarm() -> None:
    planner = NotificationPlanner(config(channel(), channel("doctor", level=1), other_s=0))
    planner.push(tick(0))
    (notice,) = planner.push(alarm(AlarmKind.RATE_LIMIT))
    assert planner.push(result(notice, "no answer")) == []


def test_a_high_alarm_of_a_site_that_no_channel_below_takes_goes_up_at_once() -> None:
    planner = NotificationPlanner(config(channel(sites=["ward"]), channel("doctor", level=1)))
    planner.push(tick(0))
    assert told(planner.push(alarm())) == [("doctor", ["asystole"])]


def test_alarms_of_the_house_pass_every_site_but_not_the_channel_they_are_about() -> None:
    channels = (channel(sites=["ward"]), channel("pager", sites=["icu"]))
    planner = NotificationPlanner(config(*channels, other_s=0))
    planner.push(tick(0))
    about = replace(
        alarm(device="wristlead/phone"), kind=AlarmKind.NOTIFIER, priority=AlarmPriority.MEDIUM, text="fails"
    )
    assert told(planner.push(about)) == [("pager", ["notifier"])]


def test_a_high_alarm_is_tried_each_minute_until_it_is_acknowledged_others_a_few_times() -> None:
    attempts: dict[AlarmKind, list[float]] = {}
    for kind in (AlarmKind.ASYSTOLE, AlarmKind.RATE_LIMIT):
        planner = NotificationPlanner(config(other_s=0))
        planner.push(tick(0))
        notices, at = planner.push(alarm(kind)), [0.0]
        for second in range(1, 1200):
            for notice in notices:
                planner.push(result(notice, "no answer", second))
            notices = planner.push(tick(second))
            at += [float(second)] * len(notices)
        attempts[kind] = at
    assert len(attempts[AlarmKind.RATE_LIMIT]) == MAX_ATTEMPTS
    pauses = [
        b - a for a, b in zip(attempts[AlarmKind.ASYSTOLE], attempts[AlarmKind.ASYSTOLE][1:], strict=False)
    ]
    assert max(pauses) <= RETRY_MAX_S + 2
    assert pauses[:3] == sorted(pauses[:3])


def test_follow_ups_are_quiet_and_only_where_they_are_wanted() -> None:
    planner = NotificationPlanner(config(channel(follow_up=True), channel("doctor"), other_s=1))
    planner.push(tick(0))
    for notice in planner.push(alarm()):
        planner.push(result(notice))
    assert planner.push(alarm(state=AlarmState.ACK, who="Kim")) == []
    (seen,) = planner.push(tick(2))
    assert (seen.channel, seen.is_quiet) == ("phone", True)
    planner.push(result(seen, at_s=2))
    planner.push(Ended("icu/bed-1", "asystole"))
    (over,) = planner.push(tick(4))
    assert (over.channel, over.is_quiet, over.lines[0].alarm.state) == ("phone", True, AlarmState.OFF)


def test_an_alarm_that_is_on_again_after_it_was_acknowledged_is_told_again() -> None:
    planner = NotificationPlanner(config())
    planner.push(tick(0))
    (notice,) = planner.push(alarm())
    planner.push(result(notice))
    planner.push(alarm(state=AlarmState.ACK, at_us=START_US + 1))
    assert told(planner.push(alarm(at_us=START_US + 2))) == [("phone", ["asystole"])]


def test_an_older_state_that_comes_late_changes_nothing() -> None:
    planner = NotificationPlanner(config())
    planner.push(tick(0))
    (notice,) = planner.push(alarm())
    planner.push(result(notice))
    planner.push(alarm(state=AlarmState.ACK, at_us=START_US + 2))
    assert planner.push(alarm(at_us=START_US + 1)) == []


@pytest.mark.parametrize("back_s", [3, 60, 3600])
def test_what_becomes_of_an_alarm_after_a_clock_was_set_back_counts(back_s: float) -> None:
    planner = NotificationPlanner(config(channel(follow_up=True), channel("doctor", level=1), other_s=0))
    planner.push(tick(0))
    (notice,) = planner.push(alarm())
    planner.push(result(notice))
    planner.push(tick(-back_s))
    passed_on = alarm(escalation=1, at_us=START_US - round(back_s * SECOND_US))
    assert told(planner.push(passed_on)) == [("doctor", ["asystole"])]
    (seen,) = planner.push(replace(passed_on, state=AlarmState.ACK))
    assert (seen.channel, seen.is_quiet) == ("phone", True)


def test_a_clock_that_is_set_back_holds_nothing_up() -> None:
    planner = NotificationPlanner(config(other_s=5))
    planner.push(tick(10_000))
    planner.push(alarm(AlarmKind.RATE_LIMIT, at_s=10_000))
    assert planner.push(tick(0)) == []
    assert told(planner.push(tick(5))) == [("phone", ["rate_limit"])]


def test_alarms_that_are_long_over_are_forgotten() -> None:
    planner = NotificationPlanner(config())
    planner.push(tick(0))
    (notice,) = planner.push(alarm())
    planner.push(result(notice))
    planner.push(Ended("icu/bed-1", "asystole"))
    before = len(planner.snapshot())
    planner.push(tick(FORGET_S + 1))
    assert len(planner.snapshot()) < before / 2
    assert b"asystole" not in planner.snapshot()
