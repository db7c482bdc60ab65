"""Chunks of one device, as they arrive -> windows and vitals; the stages joined, without any I/O.

Chunk -> Sequencer -> Ordered -> WindowAssembler -> Window
  |          |           |-----> VitalsMonitor   -> Vitals, each second (live samples only)
  historic, or too late -> Late (backfill.py): their windows are cut again from the store
"""

from collections.abc import Iterable

from msgspec.structs import replace

from ingest.backfill import GIVEN_UP_US, LIVE_FIRST_US, QUIET_US, Late, late_chunk
from ingest.chunk import Chunk, ChunkFlag
from ingest.clock import ClockFit
from ingest.plausibility import Beginnings, Plausibility
from ingest.sequence import Ordered, Sequencer
from ingest.vitals import Vitals, VitalsMonitor
from ingest.window import WINDOW_S, NextWindow, Window, WindowAssembler, preferred_lead


class DevicePipeline:
    """All stages of one device.

    Chunks flagged HISTORIC never enter the stages: they, and what came too late for its live window, are
    told by `take_late`. Times are Unix microseconds, of arrival and of now.
    """

    def __init__(self, device: str, *, reorder_wait_s: float = 2.5, hop_s: float = WINDOW_S) -> None:
        self.sequencer = Sequencer(reorder_wait_s)  # its counters are public
        self._device = device
        self._hop_s = hop_s
        self._windows = WindowAssembler(hop_s)
        self._late: list[Late] = []
        self._given_up: Ordered | None = None  # the newest samples when their window was noted as unfinished
        self._monitor: VitalsMonitor | None = None
        self._clock = ClockFit()
        self._plausibility = Plausibility(1.0)  # until the first sample, which begins a session
        self._beginnings = Beginnings()

    def push(self, chunk: Chunk, received_us: int) -> list[Window]:
        """Take one chunk; return the windows it completes."""
        received_s = received_us / 1e6
        if chunk.flags and ChunkFlag.HISTORIC in chunk.flags:
            is_ahead = self._windows.will_reach(chunk.session, chunk.end_sample)
            self._note_late(chunk, received_us + (LIVE_FIRST_US if is_ahead else QUIET_US))
            return []
        monitor = self._monitor
        if monitor is not None and self.sequencer.goes_on(chunk):
            return self._go_on(monitor, chunk, received_us)
        n_useless = self.sequencer.duplicates + self.sequencer.late
        windows = self._take(self.sequencer.push(chunk, received_s), received_us)
        is_new = self.sequencer.duplicates + self.sequencer.late == n_useless  # repetition is no sign of life
        if is_new and self._monitor is not None and self._monitor.session == chunk.session:
            self._hear(self._monitor, chunk, received_s)
        return windows

    def tick(self, now_us: int) -> list[Window]:
        """Let time pass: close the holes nobody filled; return the windows that completes."""
        ordered = self.sequencer.flush(now_us / 1e6)
        windows = self._take(ordered, now_us) if ordered else []
        unfinished = self._windows.unfinished
        if unfinished is None or unfinished is self._given_up:
            return windows
        if now_us - unfinished.received_s * 1e6 > GIVEN_UP_US:
            self._note_samples(unfinished, now_us + QUIET_US)
            self._given_up = unfinished
        return windows

    def finish(self, now_us: int) -> list[Window]:
        """Nothing more will come: return the windows that completes, historic by now.

        What is in no window is told by `take_late`.
        """
        windows = [replace(each, historic=True) for each in self._take(self.sequencer.finish(), now_us)]
        if self._windows.unfinished is not None:
            self._note_samples(self._windows.unfinished, now_us + QUIET_US)
        return windows

    def take_late(self) -> list[Late]:
        """What since the last call came, or turned out to be, too late for its live window."""
        if not self._late:
            return []
        late, self._late = self._late, []
        return late

    @property
    def monitor(self) -> VitalsMonitor | None:
        """Whoever watches the present session; None before the first live sample."""
        return self._monitor

    def vitals(self, now_us: int, *, battery: int | None = None, refused: int = 0) -> Vitals | None:
        """The state of the device now; None before its first live sample."""
        monitor, sequencer, now_s = self._monitor, self.sequencer, now_us / 1e6
        if monitor is None:
            return None
        fs_measured, offset_s, _ = self._clock.fit()
        doubts = self._plausibility.doubts(monitor.quality, self._clock) + self._beginnings.doubts(now_s)
        return monitor.snapshot(
            now_us,
            now_s,
            fs_measured=fs_measured,
            clock_offset_s=offset_s,
            battery=battery,
            lost_samples=sequencer.lost_samples,
            duplicates=sequencer.duplicates,
            late=sequencer.late,
            refused=refused,
            doubts=doubts,
        )

    def replay(
        self,
        chunks: Iterable[tuple[Chunk, int]],
        next_window: NextWindow | None,
        live_since_us: int = 0,
    ) -> list[Window]:
        """Rebuild the state after a crash from stored (chunk, received_us) in their order of arrival.

        `next_window` is the first that was not stored, None when none was. Give every chunk that ends beyond
        it and those of the minute before, so that holes are closed as they were. Returns the windows from
        there on; those that were complete before `live_since_us` are historic by now.
        """
        arrivals = list(chunks)
        came = [c.session for c, _ in arrivals if ChunkFlag.HISTORIC not in c.flags]
        if next_window is not None and next_window.session in came:
            self._windows.resume(next_window, finished=frozenset(came[: came.index(next_window.session)]))
        windows = []
        for chunk, received_us in arrivals:
            found = self.push(chunk, received_us)
            is_old = received_us < live_since_us
            windows += [replace(window, historic=True) for window in found] if is_old else found
        # Whether the former process took a chunk as late, too, and noted it, cannot be told.
        lively = [chunk for chunk, _ in arrivals if ChunkFlag.HISTORIC not in chunk.flags]
        places = {chunk.place for chunk in lively}
        self._late = [replace(each, chunk=None) if each.chunk in places else each for each in self._late]
        return windows

    def _go_on(self, monitor: VitalsMonitor, chunk: Chunk, received_us: int) -> list[Window]:
        """Take a chunk that just continues its stream: a short way of `push`."""
        received_s = received_us / 1e6
        stretch = self.sequencer.go_on(chunk, received_s)
        monitor.push(stretch)
        windows = self._windows.push(stretch)
        if windows:
            self._note_begun(windows, received_us)
        self._hear(monitor, chunk, received_s)
        return windows

    def _hear(self, monitor: VitalsMonitor, chunk: Chunk, received_s: float) -> None:
        """A sign of life of the present session."""
        monitor.hear(received_s)
        n_samples, fs = len(chunk.samples_mv), chunk.fs
        end_us = chunk.wall_time_us + round(n_samples * 1e6 / fs)
        self._clock.push(chunk.first_sample + n_samples, end_us, received_s, fs)

    def _take(self, ordered: list[Ordered], now_us: int) -> list[Window]:
        windows = []
        for stretch in ordered:
            monitor = self._monitor
            if monitor is None or stretch.break_before:
                monitor = self._begin(stretch, now_us)
            monitor.push(stretch)
            windows += self._windows.push(stretch)
        for chunk in self.sequencer.take_passed():
            self._note_late(chunk, now_us + LIVE_FIRST_US)
        self._note_begun(windows, now_us)
        return windows

    def _note_begun(self, windows: Iterable[Window], now_us: int) -> None:
        for window in windows:
            if self._windows.began_within(window):  # what came before, to another process, may be stored
                self._note_window(window, now_us + QUIET_US)

    def _begin(self, stretch: Ordered, now_us: int) -> VitalsMonitor:
        """The first samples of a session."""
        self._monitor = VitalsMonitor(self._device, stretch.session, stretch.fs)
        self._clock = ClockFit()
        self._plausibility = Plausibility(stretch.fs)
        self._beginnings.begin(stretch.received_s)
        unfinished = self._windows.unfinished
        if unfinished is not None:  # its session is over: cut what there is
            self._note_samples(unfinished, now_us + LIVE_FIRST_US)
        return self._monitor

    def _note_late(self, chunk: Chunk, due_us: int) -> None:
        if chunk.n_samples:
            fs = self._windows.fs_of(chunk.session, chunk.fs)
            self._late.append(late_chunk(chunk, fs, self._hop_s, due_us))

    def _note_samples(self, ordered: Ordered, due_us: int) -> None:
        n_samples = ordered.end_sample - ordered.first_sample
        fs = self._windows.fs_of(ordered.session, ordered.fs)
        lead = ordered.leads[preferred_lead(ordered.leads)]
        place = (ordered.device, ordered.session, ordered.first_sample)
        self._late.append(Late(*place, n_samples, fs, lead, self._hop_s, due_us))

    def _note_window(self, window: Window, due_us: int) -> None:
        """The window's own place only, whatever else of the grid overlaps it."""
        self._late.append(Late(*window.place, 1, window.fs, window.lead, self._hop_s, due_us))
