"""The names of voltage units, and numbers in such a unit -> samples in mV that the wire holds exactly."""

import numpy as np
from numpy.typing import NDArray

from ingest.encoding import NV_PER_MV, NV_PER_UV, WireError, check_samples

ADC = "adc"  # steps of a converter; what a step means is told beside it
UNITS_NV = {
    "nV": 1.0,
    "uV": 1e3,
    "\u00b5V": 1e3,  # micro sign
    "\u03bcV": 1e3,  # Greek mu
    "mcV": 1e3,  # Apple Health's and Health Auto Export's
    "mV": 1e6,
    "V": 1e9,
}
_MAX_WHOLE = float(1 << 24)  # beyond it float32 does not hold every whole number
_NEAR = 1e-6  # of a step: decimals such as 0.123 mV are no exact binary fractions


def unit_nv(name: object) -> float:
    """Nanovolts of one unit; raises WireError for a name that is not known: a unit is never guessed."""
    found = UNITS_NV.get(name.strip()) if isinstance(name, str) else None
    if found is None:
        raise WireError(f"unit {str(name)[:40]!r}, want one of {', '.join(UNITS_NV)}")
    return found


def samples_mv(values: NDArray[np.float64], nv_per_value: float, offset: float) -> NDArray[np.float32]:
    """(values - offset) in units of `nv_per_value` -> float32 mV of the same shape; NaN stays NaN.

    Where all are whole microvolts or nanovolts they become what wire v1 decodes from such integers, so that
    these can be stored and the decimal value comes back exactly; else the nearest float32. Raises WireError
    when a value does not fit.
    """
    with np.errstate(over="ignore"):  # infinite is refused below
        values_nv = (values - offset) * nv_per_value
    known_nv = values_nv[~np.isnan(values_nv)]
    check_samples(known_nv / NV_PER_MV)
    for step_nv in (NV_PER_UV, 1):
        steps = known_nv / step_nv
        whole = np.rint(steps)
        is_small = not len(whole) or np.abs(whole).max() <= _MAX_WHOLE
        if is_small and np.all(np.abs(steps - whole) <= _NEAR):
            rounded = np.rint(values_nv / step_nv).astype(np.float32)
            return rounded * np.float32(step_nv / NV_PER_MV) + np.float32(0.0)  # -0.0 becomes 0.0
    return (values_nv / NV_PER_MV).astype(np.float32) + np.float32(0.0)
