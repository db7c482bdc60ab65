"""What the patient page asks besides the live socket: one window, as JSON at `/data/window/...`."""

import logging

from fastapi import FastAPI
from starlette.responses import Response

from dashboard import texts
from dashboard.data_routes import AskedWronglyError, answered
from dashboard.hub import Hub
from dashboard.past import Past
from dashboard.window_picture import WindowPicture, picture_of
from dashboard.window_source import WindowSource
from ingest.store.errors import StoreError
from ingest.topics import is_device

MAX_INT = 2**63 - 1

logger = logging.getLogger(__name__)


def register_patient(server: FastAPI, past: Past, hub: Hub) -> None:
    """`/data/window/{site}/{device}/{session}/{first_sample}`: plots and explanations of one window."""
    source = WindowSource(past, hub)

    def window(site: str, device: str, session: int, first_sample: int) -> Response:
        def answer() -> WindowPicture:
            named = f"{site}/{device}"
            if not is_device(named) or not (0 <= session <= MAX_INT and 0 <= first_sample <= MAX_INT):
                raise AskedWronglyError("want site/device/session/first_sample of a window")
            return window_picture(source, named, session, first_sample)

        return answered(answer)

    server.add_api_route("/data/window/{site}/{device}/{session}/{first_sample}", window)


def window_picture(source: WindowSource, device: str, session: int, first_sample: int) -> WindowPicture:
    """The window from the store, or what is at hand of it where the store cannot be read."""
    try:
        stretch = source.stretch(device, session, first_sample)
        return picture_of(stretch, source.explanations(device, session, first_sample))
    except StoreError as error:
        logger.warning("no explanations from the store: %s", error)
        trouble = texts.STORE_UNREADABLE.format(reason=error)
    try:
        return picture_of(source.stretch(device, session, first_sample), (), trouble)
    except StoreError:
        return picture_of(None, (), trouble)
