"""A ward that nobody would wish for: patients, devices, people and clocks that do anything, in any order."""

import random
from collections.abc import Iterator

from msgspec.structs import replace

from inference.alarms.alarm import AlarmKind
from inference.alarms.engine import Event
from inference.alarms.events import (
    Acknowledge,
    ChannelStatus,
    DeviceStatus,
    Discharge,
    ServiceStatus,
    SetPause,
    Tick,
)
from inference.alarms.limits import OwnLimits, SetLimits
from inference.verdict import Finding, Presence, Superclass, Verdict
from ingest.vitals import SignalState, Vitals

START_US = 1_790_000_000_000_000
SECOND_US = 1_000_000
BEDS = ("ward/bed-1", "ward/bed-2", "home/anna")
CHANNEL, SERVICE = "ntfy", "inference"
DEVICES = (*BEDS, f"wristlead/{CHANNEL}", f"wristlead/{SERVICE}")
BLIND = [signal for signal in SignalState if signal is not SignalState.GOOD]
WINDOW = 5_000  # samples
LASTS_S = (1, 3, 5, 12, 40, 90, 250)
RATES = (None, 30.0, 38.0, 45.0, 52.0, 72.0, 72.0, 72.0, 116.0, 119.0, 125.0, 148.0, 155.0, 190.0)


class Bed:
    """One patient's vitals, second by second: every condition lasts for a while."""

    def __init__(self, device: str, rng: random.Random) -> None:
        self._rng = rng
        self._until = self._second = 0
        self._rate: float | None = 72.0
        self._signal = SignalState.GOOD
        self._is_beating = self.is_sending = self._flickers = True
        self._silent_s: float | None = None
        self._age_s = 0.2
        self.newest = Vitals(device, 1, START_US, 0, None, None, SignalState.GOOD)
        self.is_quiet = False  # ingest says nothing of it

    def next(self, at_us: int) -> Vitals:
        self._second += 1
        if self._second > self._until:
            self._change()
        signal = self._rng.choice(BLIND) if self._flickers and self._rng.random() < 0.1 else self._signal
        self._age_s = 0.2 if self.is_sending else self._age_s + 1
        self._silent_s = 0.5 if self._is_beating else None if self._silent_s is None else self._silent_s + 1
        is_known = self._is_beating and signal is SignalState.GOOD
        before = self.newest
        self.newest = replace(
            before,
            at_us=at_us,
            session=before.session + (self._rng.random() < 0.003),
            last_sample=before.last_sample + (500 if self.is_sending else 0),
            heart_rate_bpm=self._rate if is_known else None,
            since_beat_s=self._silent_s,
            signal=signal,
            data_age_s=self._age_s,
        )
        return self.newest

    def _change(self) -> None:
        rng = self._rng
        self._until = self._second + rng.choice(LASTS_S)
        self._rate = rng.choice(RATES)
        self._signal = SignalState.GOOD if rng.random() < 0.7 else rng.choice(BLIND)
        self._is_beating = rng.random() < 0.8
        self.is_sending = rng.random() < 0.9
        self._flickers = rng.random() < 0.2
        self.is_quiet = rng.random() < 0.05
        if rng.random() < 0.1:
            self._silent_s = None


class RandomWard:
    """`seen_us` says since when an alarm has been shown, for people who acknowledge what they see."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.at_us = START_US
        self.seen_us: dict[tuple[str, AlarmKind], int] = {}
        self._beds = [Bed(device, self.rng) for device in BEDS]
        self._again: list[Event] = []  # what may come again, much later

    def events(self) -> Iterator[tuple[str, Event | None]]:
        """For ever: ("new", event), ("again", an event of before) or ("restart", None)."""
        while True:
            for event in self._second():
                yield "new", event
                if self.rng.random() < 0.05:
                    yield "again", event
                if isinstance(event, Vitals | Verdict):
                    self._again = [*self._again[-8:], event]
                if self._again and self.rng.random() < 0.02:
                    yield "again", self.rng.choice(self._again)
            if self.rng.random() < 0.01:
                yield "restart", None
            self.at_us += SECOND_US
            if self.rng.random() < 0.002:
                self.at_us -= self.rng.choice((2, 30, 90, 3600)) * SECOND_US
                self._again.clear()

    def _second(self) -> Iterator[Event]:
        rng = self.rng
        for bed in self._beds:
            self.at_us += rng.randrange(1, 50_000)
            if not bed.is_quiet or rng.random() < 0.02:
                yield bed.next(self.at_us)
            if rng.random() < 0.15 and bed.newest.last_sample >= WINDOW:
                yield self._verdict(bed.newest)
        if rng.random() < 0.1:
            self.at_us += rng.randrange(1, 50_000)
            yield self._request(rng.choice(DEVICES))
        self.at_us += rng.randrange(1, 50_000)
        yield Tick(self.at_us)

    def _request(self, device: str) -> Event:
        rng, at_us = self.rng, self.at_us
        is_well = rng.random() < 0.6
        requests: list[Event] = [
            self._acknowledge(device),
            SetPause(rng.random() < 0.8, "Bob", at_us),
            self._limits(rng.choice((*BEDS, "ward", "home"))),
            DeviceStatus(rng.choice(BEDS), is_well, rng.choice((None, 4, 15, 60)), at_us),
            Discharge(self._who_left(device), "Eve", at_us),
            ChannelStatus(CHANNEL, is_well, None if is_well else "no route", at_us),
            ServiceStatus(SERVICE, is_well, at_us),
        ]
        return rng.choices(requests, (40, 8, 8, 5, 20, 12, 12))[0]

    def _who_left(self, device: str) -> str:
        """Mostly somebody whose device sends no more."""
        silent = [bed.newest.device for bed in self._beds if not bed.is_sending]
        return self.rng.choice(silent) if silent and self.rng.random() < 0.8 else device

    def _acknowledge(self, device: str) -> Acknowledge:
        kind = self.rng.choice(list(AlarmKind))
        if self.seen_us and self.rng.random() < 0.8:
            device, kind = self.rng.choice(list(self.seen_us))
        since_us = self.seen_us.get((device, kind), self.at_us) + (self.rng.random() < 0.2)
        return Acknowledge(device, kind, "Ada", self.at_us, self.rng.choice((None, since_us)))

    def _limits(self, scope: str) -> SetLimits:
        rng = self.rng
        limits = OwnLimits(
            rate_low_bpm=rng.choice((None, None, 42.0, 60.0, 20.0)),
            rate_high_bpm=rng.choice((None, None, 110.0, 140.0, 200.0)),
            rate_extreme_low_bpm=rng.choice((None, None, 30.0, 45.0)),
            rate_extreme_high_bpm=rng.choice((None, None, 130.0, 180.0)),
        )
        return SetLimits(scope, limits if limits.stated() else None, "Ada", self.at_us)

    def _verdict(self, vitals: Vitals) -> Verdict:
        probability, presence = self.rng.choice(((0.2, Presence.ABSENT), (0.7, Presence.PRESENT)))
        findings = tuple(
            Finding(
                s,
                probability if s is Superclass.MI else 0.1,
                0.5,
                presence if s is Superclass.MI else Presence.ABSENT,
            )
            for s in Superclass
        )
        place = (vitals.device, vitals.session, vitals.last_sample - WINDOW, self.at_us, "m1", self.at_us)
        return Verdict(*place, self.rng.random() < 0.1, findings)
