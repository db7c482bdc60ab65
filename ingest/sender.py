"""Who sent a message, and of which kind it is, by its topic of wire v1."""

from functools import lru_cache

from ingest.limits import MAX_DEVICES
from ingest.topics import check_site, device_of

LONGEST_TOPIC = 200  # characters of any that a device may use; only these are remembered


def sender_of(topic: str) -> tuple[str, str]:
    """The device, of a site that devices may have, and the kind; raises ValueError for other topics."""
    return _remembered(topic) if len(topic) <= LONGEST_TOPIC else _read(topic)


def _read(topic: str) -> tuple[str, str]:
    if not topic.startswith("ecg/v1/"):
        raise ValueError(
            f"no mapper reads {topic!r}: the broker remembers that an earlier --mappers named it"
        )
    device = device_of(topic)
    check_site(device)
    return device, topic.rpartition("/")[2]


# A device uses the same topics each time; a refused one raises, and is not kept.
_remembered = lru_cache(maxsize=2 * MAX_DEVICES)(_read)
