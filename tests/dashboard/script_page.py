"""A page that holds nothing but the scripts of the dashboard, for laws about them without a server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Route

from dashboard import app
from dashboard.texts.scripts import SCRIPT

ASSETS = Path(app.__file__).parent / "assets"
FACTS = json.dumps({"texts": SCRIPT, "hop_s": 5, "rate_margin_bpm": 2}).replace("<", "\\u003c")
# What the scripts find on every page: facts and texts, and nothing that this browser has kept.
FACTS_PAGE = f"""<!DOCTYPE html><script id="facts" type="application/json">{FACTS}</script><script>
  window.wristlead = {{ read: () => null, write: () => {{}} }};
</script>"""
ADDRESS = "http://scripts.test/"


@contextmanager
def script_page(chromium: Browser, body: str, locale: str | None = None) -> Iterator[Page]:
    """`body` at an address beside which every script of the assets is found."""

    def answer(route: Route) -> None:
        name = route.request.url.rsplit("/", 1)[1]
        if name == "":
            route.fulfill(body=body, content_type="text/html")
        else:
            route.fulfill(body=(ASSETS / name).read_text(), content_type="text/javascript")

    context = chromium.new_context(locale=locale)
    page = context.new_page()
    page.route(f"{ADDRESS}**", answer)
    page.goto(ADDRESS)
    yield page
    context.close()
