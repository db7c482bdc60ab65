"""A page that is too slow, or does not read at all: it loses the oldest samples and costs bounded memory."""

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from websockets.sync.client import connect

from dashboard.frames import HEADER
from dashboard.hub import Hub
from dashboard.server import add_live_route
from dashboard.service import server_config
from ingest.chunk import Chunk, Lead
from ingest.link import Message
from ingest.wire import encode_binary

BED = "ward/bed"
SAMPLES = 50_000  # 100 kB a chunk, so that it takes few to fill the sockets of the system
MAX_QUEUED = 16  # in place of the 1024 small ones of a real ward
MOST_CHUNKS = 1_000  # 100 MB, more than the sockets of any system hold

# Nothing here waits for a clock: how long it takes is the machine's matter.
pytestmark = pytest.mark.timeout(300)


class Served:
    """The live route on a real server, with a hub that is told messages by hand."""

    def __init__(self, port: int) -> None:
        self.hub = Hub(("127.0.0.1", 1))
        self.url = f"ws://127.0.0.1:{port}/live"
        app = FastAPI()
        add_live_route(app, self.hub)
        self.server = uvicorn.Server(server_config(app, port=port))
        self.told = 0
        self.hub.start()
        self._thread = threading.Thread(target=asyncio.run, args=(self.server.serve(),))
        self._thread.start()

    def tell(self, chunks: int) -> None:
        """The next chunks of the bed, as if the broker had brought them."""
        for _ in range(chunks):
            samples = np.zeros((SAMPLES, 1), np.float32)
            chunk = Chunk(BED, 1, self.told, self.told * SAMPLES, 0, 0, 500.0, (Lead.I,), samples)
            self.told += 1
            topic = f"ecg/v1/{BED}/chunk"
            with self.hub._lock:
                self.hub._take(
                    Message(topic, encode_binary(chunk), 1, retained=False, _mid=0, _qos=0, _connection=0)
                )

    def unsent(self) -> int:
        """Bytes that wait in this process for the sockets of all pages."""
        return sum(each.transport.get_write_buffer_size() for each in self.server.server_state.connections)

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join()
        self.hub.stop()


@pytest.fixture
def served(free_port: int) -> Iterator[Served]:
    served = Served(free_port)
    deadline = time.monotonic() + 20
    while not served.server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield served
    served.stop()


def test_a_page_that_does_not_read_holds_up_nobody_and_fills_no_memory(served: Served) -> None:
    look = json.dumps({"subscribe": [BED], "history_s": 0})
    with (
        connect(served.url, max_queue=1, compression=None, close_timeout=0.1) as idle,
        connect(served.url, max_size=None, compression=None) as reading,
    ):
        for page in (idle, reading):
            page.send(look)
        while len(served.hub._browsers) < 2 or not all(each.devices for each in served.hub._browsers):
            time.sleep(0.01)
        browsers = list(served.hub._browsers)
        for browser in browsers:
            browser._queue = deque(maxlen=MAX_QUEUED)
        read = 0
        while served.hub.counters()["dropped"] == 0:
            assert served.told < MOST_CHUNKS, "more waits somewhere than a page may cost"
            served.tell(MAX_QUEUED // 2)
            while read < served.told:  # the page that reads gets all of it
                message = reading.recv()
                if isinstance(message, bytes):
                    read += HEADER.unpack_from(message)[3]
        assert max(len(browser._queue) for browser in browsers) == MAX_QUEUED
        assert min(browser.dropped for browser in browsers) == 0
        largest = MAX_QUEUED * (2 * SAMPLES + 40)
        assert served.unsent() < largest + (
            1 << 17
        )  # one message, and what asyncio holds before it says stop
