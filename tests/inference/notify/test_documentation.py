"""docs/notify.md: its example is a file that works, and apprise reads every address in it."""

import re
from pathlib import Path

import pytest

from inference.notify.channels import open_channels
from inference.notify.configuration import load_notify_config
from inference.notify.delivery import open_channel

PAGE = (Path(__file__).parents[3] / "docs" / "notify.md").read_text()
ADDRESSES = re.findall(
    r"`([a-z]+://[^`]+)`", PAGE.partition("Addresses for `url`")[2].partition("Those with")[0]
)
FILLED = {
    "BOT_TOKEN": "123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr",
    "CHAT_ID": "-1001234567890",
    "TOKEN_A": "T1JJ3T3L2",
    "TOKEN_B": "A1BRTD4JD",
    "TOKEN_C": "TIiajkdnlazkcOXrIdevi7FQ",
}


def test_the_example_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "channels.toml"
    path.write_text(PAGE.partition("```toml\n")[2].partition("```")[0])
    config = load_notify_config(path)
    environment = {"NTFY_TOKEN": "tk", "MAIL_USER": "nurse@example.org", "MAIL_PASSWORD": "a/b@c"}
    assert open_channels(config, environment)[1] == {}


@pytest.mark.parametrize("address", ADDRESSES)
def test_apprise_reads_the_address(address: str) -> None:
    filled = re.sub("|".join(FILLED), lambda found: FILLED[found[0]], address)
    assert callable(open_channel(filled))


def test_there_are_addresses_for_what_was_promised() -> None:
    schemes = {address.partition("://")[0] for address in ADDRESSES}
    assert schemes == {"ntfys", "mailtos", "jsons", "matrixs", "slack", "tgram"}
