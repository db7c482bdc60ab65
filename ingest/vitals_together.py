"""Monitors of many devices brought up to date in one go, so that numpy is called once and not for each.

    advance_together(monitors); then monitor.snapshot(...) of each finds nothing left to do

Runs of samples of one rate, length and phase go through the network as rows of one array; only what is
decided for each of its tops stays with its device. Which others a device is grouped with changes no bit of
its vitals.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ingest.beats import BeatDetector, Phase, find_together
from ingest.quality import judge_together
from ingest.vitals import VitalsMonitor

# Devices: calls of numpy cost less than their work, and a second of them at 512 Hz stays near the core.
TOGETHER = 128
JUDGED_TOGETHER = 256  # little is kept of a second: the calls alone cost

_Shape = tuple[Phase, int]  # the phase of a detector and a number of samples
_Run = tuple[VitalsMonitor, BeatDetector, NDArray[np.float32]]


def advance_together(monitors: Sequence[VitalsMonitor]) -> None:
    """Let each take its pending samples and judge its signal.

    A fault is kept by the monitor that has it, whose `snapshot` raises it; the others go on.
    """
    waiting = monitors
    while waiting:  # most have one run; what lies behind a hole or a change of flags is another
        by_shape = _next_runs(waiting)
        for runs in by_shape.values():
            for k in range(0, len(runs), TOGETHER):
                _take(runs[k : k + TOGETHER])
        waiting = [monitor for runs in by_shape.values() for monitor, _, _ in runs if monitor.has_pending]
    for k in range(0, len(monitors), JUDGED_TOGETHER):
        _judge(monitors[k : k + JUDGED_TOGETHER])


def _next_runs(monitors: Sequence[VitalsMonitor]) -> dict[_Shape, list[_Run]]:
    """The next run of each that has one, those that can be taken together side by side."""
    by_shape: dict[_Shape, list[_Run]] = {}
    for monitor in monitors:
        try:
            samples_mv = monitor.next_run()
        except Exception as error:  # noqa: BLE001 - one device's fault must not stop the others
            monitor.fail(error)
            continue
        beats = monitor.beats
        if samples_mv is not None and beats is not None:
            by_shape.setdefault((beats.phase, len(samples_mv)), []).append((monitor, beats, samples_mv))
    return by_shape


def _take(runs: Sequence[_Run]) -> None:
    """Find the beats in runs of one rate and length; where that fails for all together, in each alone."""
    if not _attempt([monitor for monitor, _, _ in runs], partial(_find_beats, runs)):
        for run in runs:
            _take([run])


def _find_beats(runs: Sequence[_Run]) -> None:
    samples_mv = np.concatenate([each for _, _, each in runs]).reshape(len(runs), -1)
    found = find_together([beats for _, beats, _ in runs], samples_mv)
    for (monitor, _, _), r_peaks in zip(runs, found, strict=True):
        if not r_peaks:
            continue
        try:  # the samples are taken: a fault from here on must not let the others take them again
            monitor.add_beats(r_peaks)
        except Exception as error:  # noqa: BLE001 - one device's fault must not stop the others
            monitor.fail(error)


def _judge(monitors: Sequence[VitalsMonitor]) -> None:
    if not _attempt(monitors, partial(judge_together, [monitor.quality for monitor in monitors])):
        for monitor in monitors:
            _judge([monitor])


def _attempt(monitors: Sequence[VitalsMonitor], work: Callable[[], None]) -> bool:
    """Do it; False where it failed for several together, who can then do it alone: nothing is done twice."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - one device's fault must not stop the others
        if len(monitors) > 1:
            return False
        monitors[0].fail(error)
    return True
