"""Whose limits count: the patient's, else the site's, else the settings'; and none that cross."""

import random
from itertools import pairwise

import msgspec
import pytest

from inference.alarms.alarm import AlarmKind, AlarmState
from inference.alarms.limits import LimitsBook, LimitsEntry, LimitsError, LimitsSource, OwnLimits, SetLimits
from inference.alarms.rules import Limits
from tests.inference.alarms.ward import DEVICE, Ward, at, rate

BED, SITE = "ward/bed-1", "ward"


def give(book: LimitsBook, scope: str, limits: OwnLimits | None, who: str = "Ada", at_us: int = 1) -> None:
    book.set(SetLimits(scope, limits, who, at_us))


def test_a_patient_inherits_from_its_site_and_that_from_the_settings() -> None:
    book = LimitsBook(Limits())
    give(book, SITE, OwnLimits(rate_high_bpm=130.0, rate_low_bpm=45.0), "Bob", 5)
    give(book, BED, OwnLimits(rate_high_bpm=140.0), "Ada", 3)
    said = book.in_force(BED)
    assert book.of(BED) == Limits(rate_low_bpm=45.0, rate_high_bpm=140.0)
    assert said.sources == {
        "rate_low_bpm": LimitsSource.SITE,
        "rate_high_bpm": LimitsSource.PATIENT,
        "rate_extreme_low_bpm": LimitsSource.SETTINGS,
        "rate_extreme_high_bpm": LimitsSource.SETTINGS,
    }
    assert (said.rate_high_bpm, said.who, said.at_us) == (140.0, "Bob", 5)
    assert book.of("ward/bed-2") == Limits(rate_low_bpm=45.0, rate_high_bpm=130.0)
    assert book.of("home/anna") == Limits()
    give(book, BED, None)
    assert book.of(BED) == book.of("ward/bed-2")


def test_what_is_not_stated_is_inherited_again() -> None:
    book = LimitsBook(Limits())
    give(book, BED, OwnLimits(rate_high_bpm=140.0, rate_low_bpm=45.0))
    give(book, BED, OwnLimits(rate_low_bpm=45.0))
    assert book.of(BED) == Limits(rate_low_bpm=45.0)


def test_a_site_cannot_make_the_limits_of_one_of_its_patients_cross() -> None:
    book = LimitsBook(Limits())
    give(book, BED, OwnLimits(rate_low_bpm=100.0))
    with pytest.raises(LimitsError, match="got 40, 100, 90, 150 bpm of ward/bed-1, whose own limits must"):
        give(book, SITE, OwnLimits(rate_high_bpm=90.0))
    assert book.of(BED) == Limits(rate_low_bpm=100.0)
    give(book, "ward2", OwnLimits(rate_high_bpm=90.0))  # another site


@pytest.mark.parametrize("value", [14.9, 300.1, float("nan"), float("inf"), -1.0])
def test_a_limit_outside_what_a_monitor_can_count_is_refused(value: float) -> None:
    with pytest.raises(LimitsError, match="want 15 to 300 bpm, or null to inherit it"):
        give(LimitsBook(Limits()), BED, OwnLimits(rate_high_bpm=value))


def test_limits_that_no_longer_fit_the_settings_are_left_out() -> None:
    book = LimitsBook(Limits())
    give(book, BED, OwnLimits(rate_low_bpm=110.0))
    tighter = LimitsBook(Limits(rate_high_bpm=100.0), book.entries)
    assert tighter.of(BED) == Limits(rate_high_bpm=100.0)
    assert set(tighter.in_force(BED).sources.values()) == {LimitsSource.SETTINGS}


@pytest.mark.parametrize("seed", range(20))
def test_whatever_people_ask_for_nobodys_limits_ever_cross_and_a_refusal_changes_nothing(seed: int) -> None:
    rng, book = random.Random(seed), LimitsBook(Limits())
    scopes = ("ward", "home", BED, "ward/bed-2", "home/anna")
    for step in range(300):
        values = [rng.choice((None, None, rng.uniform(10, 310))) for _ in range(4)]
        wanted = OwnLimits(
            rate_low_bpm=values[0],
            rate_high_bpm=values[1],
            rate_extreme_low_bpm=values[2],
            rate_extreme_high_bpm=values[3],
        )
        before = dict(book.entries)
        try:
            give(book, rng.choice(scopes), None if rng.random() < 0.1 else wanted, at_us=step)
        except LimitsError:
            assert book.entries == before
        for device in scopes[2:]:
            assert all(a <= b for a, b in pairwise(book.of(device).ordered))
            kept = msgspec.json.encode(book.entries)
            again = LimitsBook(Limits(), msgspec.json.decode(kept, type=dict[str, LimitsEntry]))
            assert again.in_force(device) == book.in_force(device)
            stated = book.entries[device].limits.stated() if device in book.entries else {}
            assert stated.items() <= {n: getattr(book.of(device), n) for n in stated}.items()


def test_limits_between_which_no_alarm_could_end_are_refused() -> None:
    with pytest.raises(LimitsError, match="70 and 75 bpm are too near: want at least 6 bpm"):
        give(LimitsBook(Limits()), BED, OwnLimits(rate_low_bpm=70.0, rate_high_bpm=75.0))


@pytest.mark.parametrize("apart_bpm", [1.0, 5.9, 6.0, 6.5, 20.0])
def test_an_alarm_ends_amid_whatever_limits_are_accepted(apart_bpm: float) -> None:
    ward = Ward()
    limits = OwnLimits(rate_low_bpm=70.0, rate_high_bpm=70.0 + apart_bpm)
    try:
        ward.push(SetLimits(DEVICE, limits, "Ada", at(0)))
    except LimitsError:
        assert apart_bpm < 6.0
    ward.watch(2, rate(125.0))
    assert ward.state(AlarmKind.RATE_LIMIT) is AlarmState.ON
    ward.watch(5, rate(70.0 + apart_bpm / 2))
    assert ward.state(AlarmKind.RATE_LIMIT) is AlarmState.OFF
