"""A mappers' file is either right, or refused with file, table, key and what was expected."""

from itertools import product
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.mappers.configuration import MappersError, load_mappers, overlap, parse_mappers
from ingest.mappers.preset import PRESETS

GOOD = 'topic = "ecg/data"\npreset = "esp32_ecg"\nfs = 250\ngain_uv_per_step = 2\ndevice = "one"\n'


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (GOOD + "foo = 1", r"key foo: unknown key, want one of topic, preset.* \(got 1\)"),
        (GOOD.replace("esp32_ecg", "nix"), "key preset: want one of adc_text, .*got 'nix'"),
        (GOOD.replace("fs = 250", ""), "fs: say the samples per second"),
        (GOOD.replace("250", "0.5"), r"key fs: want samples per second, 1 to 10000, or the key.*got 0\.5"),
        (GOOD.replace("250", "true"), "key fs: want samples per second"),
        (GOOD.replace("gain_uv_per_step = 2", ""), "gain_uv_per_step: say it, as unit is adc"),
        (GOOD.replace("= 2\n", "= -2\n"), "key gain_uv_per_step: .*greater than 0"),
        (GOOD + 'unit = "mV"', "gain_uv_per_step is for unit adc only"),
        (GOOD + 'unit = "volts"', "key unit: want one of nV, uV, .*got 'volts'"),
        (GOOD.replace('"one"', '"one two"'), "key device: 'one two' is no id"),
        (GOOD.replace('"one"', "{ level = 2 }"), "level 2, the topic has 2"),
        (GOOD.replace('"one"', '{ level = 1, key = "a" }'), "key device: want a text, { level = 1 }"),
        (GOOD.replace('device = "one"', ""), "key device: Field required"),
        (GOOD.replace("ecg/data", "#"), "takes in Wristlead's own"),
        (GOOD.replace("ecg/data", "ecg/v1/+/+/+"), "takes in Wristlead's own"),
        (GOOD.replace("ecg/data", "a/#/b"), "want a filter such as"),
        (GOOD.replace("ecg/data", "$share/a/b"), "want a filter such as"),
        (GOOD.replace("ecg/data", "a+/b"), "want a filter such as"),
        (GOOD + "sequence_modulus = 256", "sequence_modulus needs sequence_key"),
        (GOOD + "fs_from_stamps = true", "fs_from_stamps needs time_key"),
        (GOOD + "clip_low_mv = 5.0\nclip_high_mv = -5.0", "clip_low_mv must be below clip_high_mv"),
        (GOOD + 'lead = "IV"', "key lead: want one of I, II"),
        (GOOD + 'lead = "I"\nlead_key = "l"', "say one of lead, lead_key"),
        (GOOD.replace("esp32_ecg", "adc_text") + 'time_key = "t"', "text has no keys"),
        ('topic = "a"\nformat = "json"\ndevice = "d"\nfs = 100\nunit = "mV"', "array: name the key"),
        (GOOD.replace("esp32_ecg", "fhir"), "told by the format itself"),
    ],
)
def test_what_is_impossible_is_refused_with_its_place(table: str, expected: str) -> None:
    with pytest.raises(MappersError, match=expected) as caught:
        parse_mappers(f"[[mapper]]\n{table}\n", "my.toml")
    assert str(caught.value).startswith("my.toml: [[mapper]] 1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"my.toml: want one table \[\[mapper\]\] for each"),
        ("mapper = []", r"my.toml: want one table \[\[mapper\]\]"),
        ('[mapper]\ntopic = "ECG"', r"my.toml: want one table \[\[mapper\]\] for each format, with double"),
        ("[[mapper", "my.toml is not TOML"),
        (f"[[mapper]]\n{GOOD}\n[other]\n", "my.toml: key other: unknown key"),
        (f"[[mapper]]\n{GOOD}\n[[mapper]]\n{GOOD}", "'ecg/data' and 'ecg/data' overlap"),
        (f"[[mapper]]\n{GOOD}\n[[mapper]]\n{GOOD.replace('ecg/data', 'ecg/+')}", "overlap"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused(text: str, expected: str) -> None:
    with pytest.raises(MappersError, match=expected):
        parse_mappers(text, "my.toml")


def test_a_file_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(MappersError, match=r"absent\.toml cannot be read"):
        load_mappers(tmp_path / "absent.toml")


def test_every_preset_needs_no_more_than_what_only_its_user_knows() -> None:
    for name in PRESETS:
        needs = "fs = 50\ngain_uv_per_step = 4" if name in ("adc_text", "esp32_valores", "esp32_ecg") else ""
        text = f'[[mapper]]\ntopic = "a"\npreset = "{name}"\ndevice = "d"\n{needs}'
        assert parse_mappers(text, "x")[0].preset == name


def test_a_key_that_is_told_wins_over_the_preset_and_over_its_counterpart() -> None:
    text = '[[mapper]]\ntopic = "a"\npreset = "ecg_raw"\nunit = "uV"\nfs = 128\ndevice = "d"'
    mapper = parse_mappers(text, "x")[0]
    assert (mapper.unit, mapper.unit_key, mapper.fs) == ("uV", None, 128.0)


LEVELS = st.lists(st.sampled_from(["a", "b", "+"]), min_size=1, max_size=4)
FILTERS = st.tuples(LEVELS, st.booleans()).map(lambda f: "/".join([*f[0], "#"] if f[1] else f[0]))


@given(FILTERS, FILTERS)
def test_two_filters_overlap_exactly_when_a_topic_fits_both(one: str, other: str) -> None:
    topics = ["/".join(levels) for n in range(1, 6) for levels in product("ab", repeat=n)]
    fits_both = any(
        mqtt.topic_matches_sub(one, topic) and mqtt.topic_matches_sub(other, topic) for topic in topics
    )
    assert overlap(one, other) == fits_both
