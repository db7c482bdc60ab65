import gc
import weakref
from collections.abc import Iterator

import pytest

from ingest.collector import YOUNG, spare_the_long_lived


class Node:
    """May be its own neighbour."""

    def __init__(self) -> None:
        self.neighbour: object = None


@pytest.fixture
def spared() -> Iterator[None]:
    before = gc.get_threshold()
    spare_the_long_lived()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("spared")
def test_a_circle_that_nobody_holds_is_freed_while_the_process_goes_on() -> None:
    node = Node()
    node.neighbour, gone = node, weakref.ref(node)
    del node
    kept = [[k] for k in range(2 * YOUNG)]
    assert gone() is None
    assert len(kept) == 2 * YOUNG


@pytest.mark.usefixtures("spared")
def test_what_was_there_at_the_start_is_walked_no_more() -> None:
    assert gc.get_freeze_count() > 1_000
