"""A JSON payload and the keys that a mapper names -> one reading, and the document for its ids."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.chunk import NO_FLAGS, ChunkFlag
from ingest.encoding import NV_PER_UV, WireError
from ingest.mappers import field
from ingest.mappers.configuration import MapperConfig
from ingest.mappers.lead import lead_of
from ingest.mappers.reading import Reading
from ingest.mappers.text_payload import read_numbers
from ingest.mappers.unit import ADC, samples_mv, unit_nv
from ingest.wire import FS_RANGE_HZ, MAX_PAYLOAD_BYTES


def read_payload(config: MapperConfig, payload: bytes) -> tuple[Reading, Any]:
    """The reading of a `text` or `json` payload, and the parsed document (None for text).

    Raises WireError.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise WireError(f"payload is {len(payload)} bytes, want 1 to {MAX_PAYLOAD_BYTES}")
    if config.format == "text":
        document, values = None, read_numbers(payload)
    else:
        document = field.parse(payload)
        values = _values(config, document)
    samples = samples_mv(values, _nv_per_value(config, document), config.offset)
    reading = Reading(
        samples_mv=samples,
        fs=_fs(config, document),
        lead=lead_of(field.look_up(document, config.lead_key)) if config.lead_key else config.told_lead,
        clipped=_clipped(config, document, samples),
        flags=_flags(config, document),
        stamp=_optional_number(document, config.time_key),
        sequence=_sequence(config, document),
    )
    return reading, document


def _values(config: MapperConfig, document: Any) -> NDArray[np.float64]:
    array = field.look_up(document, str(config.array))
    if config.value is not None:
        if not isinstance(array, list):
            raise WireError(f"{config.array} is no list, want a list of tables")
        array = [field.look_up(each, config.value) for each in array]
    elif not isinstance(array, list):
        array = [field.number(array, str(config.array))]
    return field.numbers(array, str(config.array))


def _nv_per_value(config: MapperConfig, document: Any) -> float:
    if config.unit_key is not None:
        name = field.look_up(document, config.unit_key)
        if name != ADC or config.gain_uv_per_step is None:
            return unit_nv(name)
    elif config.unit != ADC:
        return unit_nv(config.unit)
    return float(config.gain_uv_per_step or 0.0) * NV_PER_UV


def _fs(config: MapperConfig, document: Any) -> float:
    fs = config.fs
    if isinstance(fs, str):
        fs = float(field.number(field.look_up(document, fs), fs))
    if fs is None or not FS_RANGE_HZ[0] <= fs <= FS_RANGE_HZ[1]:
        raise WireError(f"fs is {fs} Hz, want {FS_RANGE_HZ[0]:g} to {FS_RANGE_HZ[1]:g}")
    return fs


def _optional_number(document: Any, key: str | None) -> float | int | None:
    return None if key is None else field.number(field.look_up(document, key), key)


def _sequence(config: MapperConfig, document: Any) -> int | None:
    value = _optional_number(document, config.sequence_key)
    if value is None:
        return None
    end = config.sequence_modulus or 1 << 63
    if value != int(value) or not 0 <= value < end:
        raise WireError(f"{config.sequence_key} is {value}, want a whole number of 0 to {end - 1}")
    return int(value)


def _flags(config: MapperConfig, document: Any) -> ChunkFlag:
    if config.lead_off_key is None:
        return NO_FLAGS
    value = field.look_up(document, config.lead_off_key)
    is_off = value if isinstance(value, bool) else field.number(value, config.lead_off_key) != 0
    return ChunkFlag.LEAD_OFF if is_off else NO_FLAGS


def _clipped(config: MapperConfig, document: Any, samples: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which samples are at or beyond a threshold; empty when none is."""
    limits = [config.clip_low_mv, config.clip_high_mv]
    for place, key in enumerate((config.clip_low_key, config.clip_high_key)):
        if key is not None and field.has(document, key):  # without one no limit is known
            limits[place] = field.number(field.look_up(document, key), key)
    low, high = limits
    clipped = np.zeros(len(samples), bool)
    if low is not None:
        clipped |= samples <= np.float32(low)
    if high is not None:
        clipped |= samples >= np.float32(high)
    return clipped if clipped.any() else np.zeros(0, bool)
