"""A TOML file of `[[mapper]]` tables -> checked settings, or one sentence for each thing that is wrong."""

import tomllib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ingest.chunk import Lead
from ingest.mappers.lead import LEAD_NAMES
from ingest.mappers.preset import PRESETS
from ingest.mappers.unit import ADC, UNITS_NV
from ingest.topics import ID_PATTERN
from ingest.wire import FS_RANGE_HZ

# What the services say and what devices send as wire v1 must not come in by a second door.
OWN_TOPICS = ("ecg/v1/+/+/+", "wl/v1/+/+", "wl/v1/+/+/+", "wl/v1/+/+/+/+")
MAX_LEVELS = 32


class MappersError(ValueError):
    """The mappers' file cannot be used; the message names file, table, key and what was expected."""


def _text_is_fixed(value: Any) -> Any:
    return {"fixed": value} if isinstance(value, str) else value


class Source(BaseModel):
    """Where an id comes from: written here, a level of the topic (from 0), or a key of the payload."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    fixed: str | None = None
    level: int | None = Field(None, ge=0, lt=MAX_LEVELS)
    key: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(each is not None for each in (self.fixed, self.level, self.key)) != 1:
            raise ValueError('want a text, { level = 1 } (of the topic) or { key = "name" } (of the payload)')
        if self.fixed is not None and not ID_PATTERN.fullmatch(self.fixed):
            raise ValueError(f"{self.fixed!r} is no id: want 1 to 64 of A-Z a-z 0-9 _ -")
        return self


Id = Annotated[Source, BeforeValidator(_text_is_fixed)]
Key = Annotated[str, Field(min_length=1, max_length=200)]
Rate = Annotated[float, Field(ge=FS_RANGE_HZ[0], le=FS_RANGE_HZ[1])]


def _is_rate_or_key(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and FS_RANGE_HZ[0] <= value <= FS_RANGE_HZ[1]:
        return float(value)
    if isinstance(value, str) and value:
        return value
    low, high = FS_RANGE_HZ
    raise ValueError(f"want samples per second, {low:g} to {high:g}, or the key that tells them")


def _one_of(names: Sequence[str]) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value not in names:
            raise ValueError(f"want one of {', '.join(names)}")
        return value

    return BeforeValidator(check)


class MapperConfig(BaseModel):
    """One `[[mapper]]` table. Keys of the payload are dotted paths (`data.ecg`, `points.0.SEQUENCE`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    topic: str = Field(min_length=1, max_length=1000)
    preset: Annotated[str, _one_of(tuple(PRESETS))] | None = None
    format: Literal["text", "json", "health_auto_export", "fhir"]
    site: Id = Source(fixed="home", level=None, key=None)
    device: Id
    array: Key | None = None
    value: Key | None = None  # of each element of `array`, when the elements are tables
    fs: Annotated[float | str, BeforeValidator(_is_rate_or_key)] | None = None
    fs_from_stamps: bool = False  # the device's clock tells its true rate: after 10 s use that
    unit: Annotated[str, _one_of((*UNITS_NV, ADC))] | None = None
    unit_key: Key | None = None
    gain_uv_per_step: float | None = Field(None, gt=0, le=1e6)
    offset: float = Field(0.0, ge=-(2.0**31), le=2.0**31)  # in steps or units, taken off each sample
    time_key: Key | None = None
    time_unit: Literal["s", "ms", "us", "ns", "auto"] = "auto"
    time_epoch: Literal["unix", "2000", "2001", "uptime", "auto"] = "auto"
    time_stamps: Literal["first", "last"] = "first"
    jitter_s: float = Field(0.0, ge=0.0, le=10.0)  # how far a stamp may stray without a sample being lost
    sequence_key: Key | None = None
    sequence_modulus: int | None = Field(None, ge=2, le=1 << 63)  # 256: after 255 comes 0
    sequence_counts: Literal["messages", "samples"] = "messages"
    silence_s: float = Field(2.0, gt=0.0, le=3600.0)
    lead: Annotated[str, _one_of(tuple(LEAD_NAMES))] | None = None
    lead_key: Key | None = None
    lead_off_key: Key | None = None
    clip_low_mv: float | None = None
    clip_high_mv: float | None = None
    clip_low_key: Key | None = None
    clip_high_key: Key | None = None
    recording: bool = False  # each payload is a finished recording: historic, known again by its content

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, table: Any) -> Any:
        preset = PRESETS.get(table.get("preset", "")) if isinstance(table, dict) else None
        if preset is None:
            return table
        told = dict(table)
        for key, instead_of in (("unit", "unit_key"), ("unit_key", "unit"), ("lead", "lead_key")):
            if key in told and instead_of not in told:
                preset = {name: value for name, value in preset.items() if name != instead_of}
        return {**preset, **told}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    @property
    def told_lead(self) -> Lead:
        """The lead that is written here; unknown when none is."""
        return LEAD_NAMES[self.lead] if self.lead else Lead.UNKNOWN

    def _problems(self) -> list[str]:
        is_own = self.format in ("text", "json")
        levels = self.topic.split("/")
        depth = len(levels) - levels.count("#")
        ids = [s.level for s in (self.site, self.device) if s.level is not None and levels[-1] != "#"]
        rules = {
            f"topic {self.topic!r}: want a filter such as ecg/+/data, # only at its end, no $": (
                not _is_filter(self.topic)
            ),
            f"topic {self.topic!r} takes in Wristlead's own (ecg/v1, wl/v1): name it more closely": any(
                overlap(self.topic, own) for own in OWN_TOPICS
            ),
            f"site or device is level {max(ids, default=0)}, the topic has {depth} (from 0)": any(
                level >= depth for level in ids
            ),
            "array: name the key that holds the samples": self.format == "json" and not self.array,
            "fs: say the samples per second, or the key that tells them": is_own and self.fs is None,
            "unit: say one of unit, unit_key": is_own and (self.unit is None) == (self.unit_key is None),
            "unit, fs and array are told by the format itself": not is_own
            and any((self.unit, self.unit_key, self.fs, self.array)),
            "gain_uv_per_step: say it, as unit is adc": self.unit == ADC and self.gain_uv_per_step is None,
            "gain_uv_per_step is for unit adc only": self.gain_uv_per_step is not None
            and self.unit not in (ADC, None),
            "sequence_modulus needs sequence_key": self.sequence_modulus is not None
            and self.sequence_key is None,
            "fs_from_stamps needs time_key": self.fs_from_stamps and self.time_key is None,
            "lead: say one of lead, lead_key": self.lead is not None and self.lead_key is not None,
            "clip_low_mv must be below clip_high_mv": self.clip_low_mv is not None
            and self.clip_high_mv is not None
            and self.clip_low_mv >= self.clip_high_mv,
            "text has no keys: leave out every ..._key, and say device and site": self.format == "text"
            and any(value for name, value in self if name.endswith("_key"))
            | (self.site.key is not None)
            | (self.device.key is not None)
            | isinstance(self.fs, str),
        }
        return [problem for problem, is_broken in rules.items() if is_broken]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    mapper: list[MapperConfig] = Field(min_length=1)


def load_mappers(path: Path) -> tuple[MapperConfig, ...]:
    """The mappers of a TOML file; raises MappersError."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MappersError(f"{path} cannot be read ({error}): set --mappers to a TOML file") from None
    return parse_mappers(text, str(path))


def parse_mappers(text: str, name: str) -> tuple[MapperConfig, ...]:
    """The mappers of a TOML text that is called `name` in errors; raises MappersError."""
    try:
        mappers = _File.model_validate(tomllib.loads(text)).mapper
    except tomllib.TOMLDecodeError as error:
        raise MappersError(f"{name} is not TOML: {error}") from None
    except ValidationError as error:
        raise MappersError("; ".join(_in_words(each, name) for each in error.errors())) from None
    for one, other in combinations(mappers, 2):
        if overlap(one.topic, other.topic):
            raise MappersError(
                f"{name}: topics {one.topic!r} and {other.topic!r} overlap: no message may have two readings"
            )
    return tuple(mappers)


def overlap(one: str, other: str) -> bool:
    """True when some topic fits both filters."""
    first, second = one.split("/"), other.split("/")
    for a, b in zip(first, second, strict=False):
        if "#" in (a, b):
            return True
        if a != b and "+" not in (a, b):
            return False
    if len(first) == len(second):
        return True
    longer = max(first, second, key=len)
    return longer[min(len(first), len(second))] == "#"


def _is_filter(topic: str) -> bool:
    levels = topic.split("/")
    plain = all(level in ("+", "#") or not set(level) & set("+#\0") for level in levels)
    return plain and "#" not in levels[:-1] and not topic.startswith("$") and len(levels) <= MAX_LEVELS


def _in_words(error: Any, name: str) -> str:
    """One pydantic error: file, table, key, what was expected, what came."""
    place = [str(part) for part in error["loc"]]
    table = f"[[mapper]] {int(place[1]) + 1}" if len(place) > 1 and place[0] == "mapper" else ""
    keys = [part for part in place[2 if table else 0 :] if not part.startswith("function-")]
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "unknown key"
        if table and len(keys) == 1:
            message += f", want one of {', '.join(MapperConfig.model_fields)}"
    elif place == ["mapper"]:
        return f"{name}: want one table [[mapper]] for each format, with double brackets"
    came = "" if isinstance(error["input"], dict) else f" (got {error['input']!r})"
    where = " ".join(part for part in (table, f"key {'.'.join(keys)}" if keys else "") if part)
    return f"{name}: {where + ': ' if where else ''}{message}{came}"
