"""Chunks of one device, as they arrive -> windows and vitals; the stages joined, without any I/O.

Chunk -> Sequencer -> Ordered -> WindowAssembler -> Window
                         |-----> VitalsMonitor   -> Vitals, each second (live samples only)
"""

from collections.abc import Iterable
from dataclasses import replace

from ingest.chunk import Chunk, ChunkFlag
from ingest.clock import ClockFit
from ingest.sequence import Ordered, Sequencer
from ingest.vitals import Vitals, VitalsMonitor
from ingest.window import WINDOW_S, Window, WindowAssembler

NextWindow = tuple[int, int]  # (session, first sample) of the next window that is not stored yet


class DevicePipeline:
    """All stages of one device.

    Chunks flagged HISTORIC go through stages of their own: they give windows marked historic and never touch
    the vitals. Times are Unix microseconds, of arrival and of now.
    """

    def __init__(self, device: str, *, reorder_wait_s: float = 2.5, hop_s: float = WINDOW_S) -> None:
        self.sequencer = Sequencer(reorder_wait_s)  # its counters are public
        self.historic_sequencer = Sequencer(reorder_wait_s)
        self._device = device
        self._windows = WindowAssembler(hop_s)
        self._historic_windows = WindowAssembler(hop_s, historic=True)
        self._monitor: VitalsMonitor | None = None
        self._clock = ClockFit()

    def push(self, chunk: Chunk, received_us: int) -> list[Window]:
        """Take one chunk; return the windows it completes."""
        received_s = received_us / 1e6
        if ChunkFlag.HISTORIC in chunk.flags:
            return self._cut_historic(self.historic_sequencer.push(chunk, received_s))
        n_useless = self.sequencer.duplicates + self.sequencer.late
        windows = self._take(self.sequencer.push(chunk, received_s))
        is_new = self.sequencer.duplicates + self.sequencer.late == n_useless  # repetition is no sign of life
        if is_new and self._monitor is not None and self._monitor.session == chunk.session:
            self._monitor.hear(received_s)
            end_us = chunk.wall_time_us + round(chunk.n_samples * 1e6 / chunk.fs)
            self._clock.push(chunk.end_sample, end_us, received_s, chunk.fs)
        return windows

    def tick(self, now_us: int) -> list[Window]:
        """Let time pass: close the holes nobody filled; return the windows that completes."""
        now_s = now_us / 1e6
        windows = self._take(self.sequencer.flush(now_s))
        return windows + self._cut_historic(self.historic_sequencer.flush(now_s))

    def vitals(self, now_us: int) -> Vitals | None:
        """The state of the device now; None before its first live sample."""
        if self._monitor is None:
            return None
        return replace(
            self._monitor.snapshot(now_us, now_us / 1e6),
            fs_measured=self._clock.fs_measured,
            clock_offset_s=self._clock.offset_s,
            lost_samples=self.sequencer.lost_samples,
            duplicates=self.sequencer.duplicates,
            late=self.sequencer.late,
        )

    def replay(
        self,
        chunks: Iterable[tuple[Chunk, int]],
        next_window: NextWindow | None,
        next_historic: NextWindow | None = None,
    ) -> list[Window]:
        """Rebuild the state after a crash from stored (chunk, received_us) in their order of arrival.

        `next_window` is the first that was not stored, None when none was. Give every chunk that ends beyond
        it and those of the minute before, so that holes are closed as they were. Returns the windows from
        there on; for the same of late samples there is `next_historic`.
        """
        arrivals = list(chunks)
        for assembler, start, is_late in (
            (self._windows, next_window, False),
            (self._historic_windows, next_historic, True),
        ):
            came = [c.session for c, _ in arrivals if (ChunkFlag.HISTORIC in c.flags) == is_late]
            if start is not None and start[0] in came:
                assembler.resume(*start, finished=frozenset(came[: came.index(start[0])]))
        return [window for chunk, received_us in arrivals for window in self.push(chunk, received_us)]

    def _take(self, ordered: list[Ordered]) -> list[Window]:
        windows = []
        for stretch in ordered:
            if stretch.break_before or self._monitor is None:
                self._monitor = VitalsMonitor(self._device, stretch.session, stretch.fs)
                self._clock = ClockFit()
            self._monitor.push(stretch)
            windows += self._windows.push(stretch)
        return windows

    def _cut_historic(self, ordered: list[Ordered]) -> list[Window]:
        return [window for stretch in ordered for window in self._historic_windows.push(stretch)]
