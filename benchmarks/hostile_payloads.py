"""A seed -> hostile messages: wire v1 and mapped payloads, mutated by their structure, by bytes, or random.

Most are nearly right, so that they get far: a message that is refused at its first byte tries nothing. The
same seed gives the same messages.
"""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from ingest.encoding import Encoding
from ingest.wire import HEADER, MAGIC

GOLDEN = Path(__file__).parent.parent / "tests" / "ingest" / "wire_v1_golden.json"
START_US = 1_790_000_000_000_000
LARGEST_BYTES = 5_000_000
SITE = "fuzz"  # of all devices that a mutated topic can name; the well-behaved one has another
N_AT_ONCE = 20  # hostile devices that send alternately
FIELDS = (
    "magic", "version", "flags", "encoding", "n_leads", "lead", "reserved", "session", "seq", "first_sample",
    "wall_time_us", "device_ns", "fs_mhz", "n_samples", "nv_per_unit",
)  # fmt: skip
PLACE = ("flags", "session", "seq", "first_sample", "wall_time_us", "device_ns", "fs_mhz")  # any may be good
_EDGES = [0, 1, 2, 7, 12, 20, 21, 127, 128, 255, 999, 1000, 32_767, 32_768, 65_534, 65_535, 500_000, 512_000]
_EDGES += [10_000_000, 10_000_001, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 53, (1 << 63) - 1, 1 << 63]
_EDGES += [START_US, 253_402_300_799_999_999, 253_402_300_800_000_000, 946_684_800_000_000]
_WORDS: list[Any] = [
    None, True, False, "", "1", "-1", "1e400", "NaN", "I", "mV", "adc", "9" * 400, "\x00", "\ud83d\ude00",
    0.0, -0.0, 1e308, 5e-324, 0.1, 1e30, -1e30, [], {}, [[]], [None], [1, None, 2], ["x"], [0] * 300,
    [1e38] * 5, {"0": 1}, [{}], "2000-02-30T00:00:00Z", "9999-12-31 23:59:59 +1400", "E L U", "1 E 2 U L",
    "1_0", "٣", "0" * 5000,
]  # fmt: skip
_TOKENS = [b"[" * 2000, b"{" * 300, b"\xff\xfe", b"\xef\xbb\xbf", b"\x80" * 12, b"\\ud800", b"1e999", b"-0"]
_TOKENS += [b"NaN", b"Infinity", b"null", b"\x00", b'"', b",", b"9" * 5000, b'{"v":1,"v":2}', MAGIC]


def wire_seeds() -> list[bytes]:
    """The golden messages of wire v1."""
    return [bytes.fromhex(text) for text in json.loads(GOLDEN.read_text()).values()]


@dataclass(slots=True)
class _Source:
    """A hostile device that goes on where its last good chunk ended."""

    device: str
    session: int
    first_sample: int
    fs: float
    wall_time_us: int


@dataclass(slots=True)
class HostilePayloads:
    """Draws messages; `now_us` is what a device with a good clock would say."""

    seed: int
    now_us: int = START_US
    _rng: Random = field(init=False)
    _sources: list[_Source] = field(default_factory=list)
    _n_sources: int = 0
    _seeds: list[bytes] = field(default_factory=wire_seeds)

    def __post_init__(self) -> None:
        self._rng = Random(self.seed)
        self._sources = [self._new_source() for _ in range(N_AT_ONCE)]

    def message(self) -> tuple[str, bytes, bool]:
        """Topic, payload and whether it comes as a retained one."""
        rng = self._rng
        place = rng.randrange(N_AT_ONCE)
        if rng.random() < 1 / 1_000:  # before its allowance is spent: what is refused unread tries nothing
            self._sources[place] = self._new_source()
        source = self._sources[place]
        kind = rng.choices(("chunk", "backfill", "status", "meta"), (80, 12, 7, 1))[0]
        topic = f"ecg/v1/{source.device}/{kind}"
        if rng.random() < 0.03:
            topic = self._odd_topic(topic)
        return topic, self._payload(source, kind), rng.random() < 0.02

    def mutated(self, payload: bytes) -> bytes:
        """Wire v1 or JSON, changed in its structure, in its bytes, or both."""
        rng, changed = self._rng, payload
        if rng.random() < 0.7:
            is_wire = payload[:2] == MAGIC and len(payload) >= HEADER.size
            changed = self.changed_fields(payload) if is_wire else self.changed_json(payload)
        if rng.random() < 0.3:
            for _ in range(rng.choice((1, 1, 1, 2, 8))):
                changed = self.changed_bytes(changed)
        return changed

    def changed_fields(self, payload: bytes) -> bytes:
        """A binary chunk with one to three fields of its header changed; the samples now and then with it."""
        rng = self._rng
        values = dict(zip(FIELDS, HEADER.unpack_from(payload), strict=True))
        for name in rng.choices(FIELDS[1:] + PLACE * 2, k=rng.choice((1, 1, 2, 3))):
            values[name] = self._near(values[name])
        body = payload[HEADER.size :]
        if rng.random() < 0.6:  # a body of the length that the header promises
            size = (2, 1, 4, 4, 2)[min(values["encoding"] & 0xFF, 4)]
            n = values["n_samples"] % 65_536 * (values["n_leads"] % 256) * size
            body = (body * (n // max(1, len(body)) + 1))[:n] if n <= 1 << 20 else body
        return _packed(values) + body

    def changed_json(self, payload: bytes) -> bytes:
        """A JSON document with a value replaced, removed, doubled or moved; else changed bytes."""
        rng = self._rng
        try:
            document = json.loads(payload)
        except (ValueError, RecursionError):
            return self.changed_bytes(payload)
        for _ in range(rng.choice((1, 1, 2, 4))):
            document = self._changed_value(document, 0)
        try:
            return json.dumps(document, separators=(",", ":")).encode()
        except (UnicodeEncodeError, RecursionError):
            return payload

    def changed_bytes(self, payload: bytes) -> bytes:
        """Flipped, cut, doubled, spliced or replaced bytes."""
        rng, data = self._rng, bytearray(payload)
        at, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        match rng.randrange(8):
            case 0 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end]
            case 3:
                data[at:end] = rng.randbytes(end - at)
            case 4:
                data[at:at] = rng.choice(_TOKENS)
            case 5:
                other = rng.choice(self._seeds)
                data[at:] = other[rng.randint(0, len(other)) :]
            case 6:
                del data[at:]
            case _:
                data[at : at + 4] = struct.pack("<I", rng.choice(_EDGES) & 0xFFFFFFFF)
        return bytes(data)

    def _payload(self, source: _Source, kind: str) -> bytes:
        rng = self._rng
        if kind in ("status", "meta"):
            status = b'{"online":true,"battery":%d}' % rng.randrange(102)
            return status if rng.random() < 0.3 else self.mutated(status)
        draw = rng.random()
        if draw < 0.25:
            return self._next_chunk(source)
        if draw < 0.55:
            return self.mutated(self._next_chunk(source))
        if draw < 0.9:
            return self.mutated(rng.choice(self._seeds))
        upto = rng.choices((200, 5_000, LARGEST_BYTES), (500, 50, 1))[0]
        start = rng.choice((b"", b"", MAGIC, MAGIC + b"\x01\x00", b"{", b'{"v":1,'))
        return start + rng.randbytes(rng.randrange(upto))

    def _next_chunk(self, source: _Source) -> bytes:
        """A good chunk, in its place, too early, too late or again; rarely one of an hour."""
        rng = self._rng
        n = rng.choices((rng.randrange(1, 300), rng.randrange(300, 3_000), 65_535), (1_000, 20, 1))[0]
        first = source.first_sample + rng.choices((0, rng.choice((-n, n, 5_000, 1 << 40, -5_000))), (9, 1))[0]
        values = {
            "magic": MAGIC, "version": 1, "flags": rng.choices((0, rng.randrange(64)), (9, 1))[0],
            "encoding": Encoding.INT16, "n_leads": 1, "lead": rng.choice((0, 1, 2, 20)), "reserved": 0,
            "session": source.session, "seq": rng.randrange(1 << 32), "first_sample": max(0, first),
            "wall_time_us": source.wall_time_us, "device_ns": 0, "fs_mhz": round(source.fs * 1000),
            "n_samples": n, "nv_per_unit": rng.choice((1, 1000, 1000, 65_535)),
        }  # fmt: skip
        source.first_sample = max(0, first) + n
        source.wall_time_us += round(n / source.fs * 1e6)
        noise = rng.choice((rng.randbytes(2 * n), b"\xff\x7f" * n, bytes(2 * n), rng.randbytes(2) * n))
        return _packed(values) + noise

    def _new_source(self) -> _Source:
        rng = self._rng
        self._n_sources += 1
        clock_us = rng.choice((self.now_us, self.now_us, 0, 946_684_800_000_000, 253_402_300_700_000_000))
        fs = rng.choice((500.0, 512.0, 130.0, 250.0, 1.0, 10_000.0, rng.uniform(1.0, 10_000.0)))
        first = rng.choice((0, 0, rng.randrange(1 << 20), (1 << 32) - 700, (1 << 63) - 100_000))
        return _Source(f"{SITE}/{self._n_sources}", rng.randrange(1 << 32), first, fs, clock_us)

    def _near(self, value: int | bytes) -> int:
        rng = self._rng
        if isinstance(value, bytes) or rng.random() < 0.4:
            return rng.choice(_EDGES)
        return rng.choice(
            (value + 1, value - 1, value // 2, -value, value ^ (1 << rng.randrange(64)), rng.getrandbits(64))
        )

    def _changed_value(self, value: Any, depth: int) -> Any:
        """Go down to some value, and change it."""
        rng = self._rng
        if isinstance(value, dict) and value and rng.random() < 0.9:
            return self._changed_table(value, depth)
        if isinstance(value, list) and value and depth < 20 and rng.random() < 0.8:
            return self._changed_list(value, depth)
        if isinstance(value, int | float) and rng.random() < 0.5:
            return rng.choice((value + 1, -value, value * 1000, str(value), rng.choice(_EDGES), [value]))
        return rng.choice(_WORDS + _EDGES)

    def _changed_table(self, table: dict[str, Any], depth: int) -> Any:
        name = self._rng.choice(list(table))
        match self._rng.randrange(10):
            case 0:
                return {key: each for key, each in table.items() if key != name}
            case 1:
                return table | {self._rng.choice(list(table)): table[name]}
            case _:
                return table | {name: self._changed_value(table[name], depth + 1)}

    def _changed_list(self, values: list[Any], depth: int) -> Any:
        place = self._rng.randrange(len(values))
        match self._rng.randrange(6):
            case 0:
                return values[:place]
            case 1:
                return values[place:] + values
            case _:
                return [*values[:place], self._changed_value(values[place], depth + 1), *values[place + 1 :]]

    def _odd_topic(self, topic: str) -> str:
        rng, levels = self._rng, topic.split("/")
        match rng.randrange(5):
            case 0:
                return topic + "/" + rng.choice(("", "x", "chunk", "#"))
            case 1:
                return rng.choice(("", "/", "ecg", "$SYS/broker", "wl/v1/service/ingest", "ecg/v1//x/chunk"))
            case 2:
                ids = ("a b/c", "\u0663/\u0663", "+/+", "\x00/a", "a" * 65 + "/b", "a\n/b")
                return f"ecg/v1/{rng.choice(ids)}/chunk"
            case 3:  # invented names, each sends once
                return f"ecg/v1/{SITE}-{rng.getrandbits(40):x}/{rng.randrange(5)}/{levels[-1]}"
            case _:
                levels[rng.randrange(len(levels))] = "".join(chr(rng.randrange(1, 0x250)) for _ in range(5))
                return "/".join(levels)


def _packed(values: dict[str, Any]) -> bytes:
    """The header with every value cut to its field's width."""

    def cut(name: str, bits: int) -> int:
        return int(values[name]) & ((1 << bits) - 1)

    signed = {name: (cut(name, 64) ^ (1 << 63)) - (1 << 63) for name in ("wall_time_us", "device_ns")}
    return HEADER.pack(
        values["magic"], *(cut(name, 8) for name in FIELDS[1:7]), cut("session", 32), cut("seq", 32),
        cut("first_sample", 64), signed["wall_time_us"], signed["device_ns"], cut("fs_mhz", 32),
        cut("n_samples", 16), cut("nv_per_unit", 16),
    )  # fmt: skip
