"""Bytes of an MQTT 3.1.1 connection -> received publications, and everything else as it came.

No I/O: what is not whole stays until more is pushed. The figures stand in docs/decisions.md.
"""

import msgspec

TOPICS_KEPT = 20_000  # topics whose text is kept: twice as many as ingest knows devices
TOPIC_KEPT_BYTES = 200  # longer ones are decoded anew each time: a stranger may send 65,535 bytes
MAX_LENGTH_BYTES = 4  # of a packet's length, by the standard: 256 MiB at most
_PUBLISH, _PUBLISH_BITS = 0x30, 0xF4  # a publication of QoS 0 or 1, and the bits that tell it
_RETAINED, _QOS_1 = 0x01, 0x02


class Message(msgspec.Struct, frozen=True, gc=False):
    """One received publication; acknowledge it with `MqttLink.acknowledge`."""

    topic: str
    payload: bytes
    received_us: int  # wall clock at reading, Unix microseconds
    retained: bool
    _mid: int
    _qos: int
    _connection: int  # acknowledgements never cross a reconnect: ids start anew


class Frames:
    """The packets of one connection: `push` bytes as they arrive, `take` what is whole."""

    def __init__(self, connection: int) -> None:
        self.is_broken = False  # what came is no MQTT: nothing more is taken, and the connection must end
        self._connection = connection
        self._pieces: list[bytes] = []
        self._n_bytes = 0
        self._n_wanted = 2  # with fewer bytes the next packet is not whole
        self._topics: dict[bytes, str] = {}

    @property
    def may_be_whole(self) -> bool:
        """True while `take` may find something."""
        return self._n_bytes >= self._n_wanted and not self.is_broken

    def push(self, data: bytes) -> None:
        """Bytes arrived; they wait here until they are taken."""
        self._pieces.append(data)
        self._n_bytes += len(data)

    def take(self, at_most: int, now_us: int) -> tuple[list[Message], bytes]:
        """Up to `at_most` publications, and the other packets between them, both in their order.

        Each was received a microsecond after the one before, the first at `now_us`: arrival tells order.
        """
        messages: list[Message] = []
        others: list[bytes] = []
        if not self.may_be_whole:
            return messages, b""
        data, at = b"".join(self._pieces), 0
        n_data = len(data)
        body, end = self._span(data, at)
        while end <= n_data and len(messages) < at_most:
            if data[at] & _PUBLISH_BITS != _PUBLISH:
                others.append(data[at:end])
            elif (message := self._publication(data, at, body, end, now_us + len(messages))) is None:
                self.is_broken = True
                break
            else:
                messages.append(message)
            at = end
            body, end = self._span(data, at)
        self._pieces, self._n_bytes, self._n_wanted = [data[at:]], n_data - at, end - at
        return messages, b"".join(others)

    def _span(self, data: bytes, at: int) -> tuple[int, int]:
        """Where the body of the packet at `at` begins and ends; unknown is one byte more than is there."""
        n_data, size = len(data), 0
        if at + 2 < n_data and data[at + 2] < 128 <= data[at + 1]:  # of two bytes, as most chunks have
            return at + 3, at + 3 + (data[at + 1] & 127 | data[at + 2] << 7)
        for k in range(MAX_LENGTH_BYTES):
            place = at + 1 + k
            if place >= n_data:
                return n_data, n_data + 1
            byte = data[place]
            size |= (byte & 127) << 7 * k
            if byte < 128:
                return place + 1, place + 1 + size
        self.is_broken = True
        return n_data, n_data + 1

    def _publication(self, data: bytes, at: int, body: int, end: int, received_us: int) -> Message | None:
        """The publication of the packet at `at`, whose body begins at `body`; None when it is none."""
        head = data[at]
        qos = (head & _QOS_1) >> 1
        topic_at = body + 2
        if topic_at > end:
            return None
        topic_end = topic_at + (data[body] << 8 | data[body + 1])
        payload_at = topic_end + 2 * qos
        if topic_end == topic_at or payload_at > end:  # a topic is never empty
            return None
        mid = data[topic_end] << 8 | data[topic_end + 1] if qos else 0
        topic = data[topic_at:topic_end]
        text = self._topics.get(topic) or self._text_of(topic)
        is_retained = bool(head & _RETAINED)
        return Message(text, data[payload_at:end], received_us, is_retained, mid, qos, self._connection)

    def _text_of(self, topic: bytes) -> str:
        """Its text, of what is no UTF-8 as well as may be: a topic that nobody has."""
        text = topic.decode(errors="replace")
        if len(topic) <= TOPIC_KEPT_BYTES:
            if len(self._topics) >= TOPICS_KEPT:
                self._topics.clear()
            self._topics[topic] = text
        return text
