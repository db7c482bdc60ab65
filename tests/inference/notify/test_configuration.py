"""The channels' file: what is wrong is said, and its addresses never are."""

from pathlib import Path

import pytest

from inference.alarms.alarm import AlarmPriority
from inference.notify.configuration import NotifyConfigError, load_notify_config

GOOD = """
group = { other_s = 10 }

[[channel]]
name = "ward-phone"
url = "ntfys://${NTFY_TOKEN}@ntfy.example.org/ward"
min_priority = "low"
sites = ["icu"]

[[channel]]
name = "doctor"
url = "mailtos://nurse:tk-0123456789@mail.example.org"
level = 1
show_names = true
"""


def load(tmp_path: Path, text: str) -> object:
    path = tmp_path / "channels.toml"
    path.write_text(text)
    return load_notify_config(path)


def test_a_file_is_read_with_defaults_that_keep_names_at_home(tmp_path: Path) -> None:
    (tmp_path / "channels.toml").write_text(GOOD)
    config = load_notify_config(tmp_path / "channels.toml")
    phone, doctor = config.channel
    assert (config.group.high_s, config.group.other_s) == (0.0, 10.0)
    assert (phone.min_priority, phone.sites, phone.level) == (AlarmPriority.LOW, ("icu",), 0)
    assert (phone.show_names, doctor.show_names) == (False, True)
    assert "tk-0123456789" not in repr(config)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("level = 1", "level = 2"), "no channel has level 1"),
        (('"doctor"', '"ward-phone"'), "channel ward-phone is there twice"),
        (('"ward-phone"', '"ward phone"'), r"channel\.0\.name: want 1 to 64 of .*got 'ward phone'"),
        (('"low"', '"loud"'), r"channel\.0\.min_priority: .*'high', 'medium', 'low' or 'advisory'"),
        (("show_names", "show_name"), r"channel\.1\.show_name: there is no such key"),
        (("other_s = 10", "other_s = -1"), r"group\.other_s: .*greater than or equal to 0 \(got -1\)"),
        (('url = "mailtos', 'url = 5 # "mailtos'), r"channel\.1\.url: "),
        (("[[channel]]", "[[channel"), "is not TOML"),
    ],
)
def test_what_is_wrong_is_said_without_an_address(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises(NotifyConfigError, match=said) as error:
        load(tmp_path, GOOD.replace(*change))
    assert "tk-0123456789" not in str(error.value)
    assert "example.org" not in str(error.value)


def test_a_file_without_channels_or_none_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotifyConfigError, match=r"no \[\[channel\]\]"):
        load(tmp_path, "")
    with pytest.raises(NotifyConfigError, match="--notify-config"):
        load_notify_config(tmp_path / "absent.toml")
