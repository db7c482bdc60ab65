"""A page that holds nothing but the scripts of the dashboard, for laws about them without a server."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Route

from dashboard import app

ASSETS = Path(app.__file__).parent / "assets"
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
