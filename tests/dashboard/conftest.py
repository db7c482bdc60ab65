"""A ward, a dashboard and a page for the tests in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.dashboard.script_page import FACTS_PAGE, script_page
from tests.dashboard.ward import Broker, Dashboard, Ward


@pytest.fixture
def ward(mosquitto: Broker) -> Iterator[Ward]:
    ward = Ward(mosquitto.address)
    yield ward
    ward.stop()


@pytest.fixture
def dashboard(mosquitto: Broker, free_port: int, tmp_path: Path) -> Iterator[Dashboard]:
    dashboard = Dashboard(mosquitto.address, free_port, tmp_path)
    yield dashboard
    dashboard.kill()


@pytest.fixture
def scripts(chromium: Browser) -> Iterator[Page]:
    """A page of the scripts alone, for their laws."""
    with script_page(chromium, FACTS_PAGE) as page:
        yield page


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of someone who has read the notice; anything it complains of fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script("localStorage.setItem('wristlead-notice', '1')")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: (
            errors.append(message.text)
            if message.type == "error"
            and not any(each in message.text for each in ("/live", "ERR_CONNECTION_REFUSED"))  # it is gone
            else None
        ),
    )
    page.set_default_timeout(20_000)
    yield page
    context.close()
    assert errors == []
