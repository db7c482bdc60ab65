"""The store -> what the review page shows of a device: placements, runs of samples, verdicts, alarms."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from dashboard.decimation import Picture, Run, picture_of
from dashboard.monitor_filter import RUN_IN_S, filtered
from dashboard.past import LONGEST_CHUNK_S, Past
from dashboard.placing import MINUTE_US, SECOND_US, Placement, placed_by_arrival, placed_by_clock, sessions_of
from dashboard.signal_cache import Samples, SignalCache
from inference.alarms.history import PastEpisode, Wanted, past_episodes
from inference.records import verdicts_at
from inference.verdict import Verdict
from ingest.chunk import ChunkFlag
from ingest.store.archive import Archive
from ingest.store.rows import place_samples
from ingest.store.schema import window_table
from ingest.store.waveforms import as_received, longest_of_each_place

AROUND_US = 3 * MINUTE_US  # knots from so far around steady the placement at the edges
MAX_SESSIONS = 100  # of one question; a device that begins one with each chunk has millions
MAX_WINDOWS = 10_000  # late ones of one question
MAX_EPISODES = 500
BEGAN_WITHIN_US = 24 * 3_600_000_000  # alarms that began so long before the span may still be on
GROWING_S = 30.0  # the newest samples of a session may still come


@dataclass(frozen=True, slots=True)
class PlacedVerdict:
    """A verdict and when its window began, on our clock."""

    at_us: int
    verdict: Verdict


class ReviewSource:
    """What is stored of any device at any past moment. All methods raise StoreError."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._cache = SignalCache()
        self._layouts: dict[tuple[str, int], tuple[float, str]] = {}  # fs and lead of a session

    def placements(self, device: str, from_us: int, to_us: int) -> list[Placement]:
        """Of every session with samples around the span; late ones last."""
        archive = self._past.archive()
        around_us = AROUND_US + LONGEST_CHUNK_S * SECOND_US
        places = archive.waveforms.places(device, from_us - around_us, to_us + around_us)
        found = []
        for live in sessions_of(places, MAX_SESSIONS):
            session, first = int(live["session"][0]), int(live["first_sample"][0])
            layout = self._layout(archive, device, session, first)
            if layout is not None:
                found.append(placed_by_arrival(live, *layout))
        return found + self._late(archive, device, (from_us, to_us), {each.session for each in found})

    def picture(self, device: str, from_us: int, to_us: int, columns: int, *, is_filtered: bool) -> Picture:
        """The waveform of a span; see decimation.Picture."""
        runs = self.runs(device, from_us, to_us, is_filtered=is_filtered)
        return picture_of(runs, from_us, to_us, columns)

    def runs(self, device: str, from_us: int, to_us: int, *, is_filtered: bool) -> list[Run]:
        """Samples of every session of a span; each may begin earlier, for the filter to settle."""
        found = []
        for placement in self.placements(device, from_us, to_us):
            first, end = placement.samples_at(np.array([from_us, to_us])).tolist()
            if is_filtered:
                first -= round(RUN_IN_S * placement.fs)
            first = max(0, first)
            if end > first:
                samples_mv, is_late = self._samples(device, placement, first, end)
                came = np.flatnonzero(~np.isnan(samples_mv))
                if not len(came):
                    continue
                part = slice(int(came[0]), int(came[-1]) + 1)  # a session may be a minute of two hours
                samples_mv, is_late = samples_mv[part].copy(), is_late[part].copy()
                if is_filtered:
                    samples_mv = filtered(samples_mv, placement.fs)
                found.append(Run(placement, first + part.start, samples_mv, is_late))
        return found

    def verdicts(self, device: str, from_us: int, to_us: int) -> list[PlacedVerdict]:
        """Verdicts whose windows begin in the span, oldest first."""
        found = []
        for placement in self.placements(device, from_us, to_us):
            first, end = placement.samples_at(np.array([from_us, to_us])).tolist()
            query = partial(
                verdicts_at, device=device, session=placement.session, first_sample=first, end_sample=end
            )
            verdicts = self._past.ask(query)
            times = placement.times_us(np.array([each.first_sample for each in verdicts])).tolist()
            found += [PlacedVerdict(round(us), each) for us, each in zip(times, verdicts, strict=True)]
        return sorted(found, key=lambda each: each.at_us)

    def episodes(self, device: str, from_us: int, to_us: int) -> list[PastEpisode]:
        """Alarms that were on in the span, the newest first, at most MAX_EPISODES + 1."""
        wanted = Wanted(max(0, from_us - BEGAN_WITHIN_US), to_us, device)
        found = self._past.ask(lambda engine: past_episodes(engine, wanted, MAX_EPISODES + 1))
        return [each for each in found if each.ended_us is None or each.ended_us >= from_us]

    def _layout(self, archive: Archive, device: str, session: int, sample: int) -> tuple[float, str] | None:
        """Rate and lead of a session; None where nothing of it can be read."""
        place = (device, session)
        if place not in self._layouts:
            found = archive.chunks_at(device, session, sample, 1)
            if not found:
                return None
            if len(self._layouts) > 10 * MAX_SESSIONS:
                self._layouts.clear()
            self._layouts[place] = (found[0].chunk.fs, found[0].chunk.leads[0].name)
        return self._layouts[place]

    def _late(
        self, archive: Archive, device: str, span_us: tuple[int, int], known: set[int]
    ) -> list[Placement]:
        """Sessions that came late as a whole, by the device's clock of their windows."""
        windows = self._past.ask(lambda engine: _late_windows(engine, device, *span_us))
        found = list[Placement]()
        for session in dict.fromkeys(each[0] for each in windows):
            if session in known or len(found) >= MAX_SESSIONS:
                continue
            of_session = np.array([each[1:] for each in windows if each[0] == session])
            layout = self._layout(archive, device, session, int(of_session[0, 0]))
            if layout is not None:
                found.append(placed_by_clock(session, *layout, of_session[:, 0], of_session[:, 1]))
        return found

    def _samples(self, device: str, placement: Placement, first: int, end: int) -> Samples:
        archive = self._past.archive()
        newest = placement.knots[-2]  # the last before what is far
        return self._cache.samples(
            (device, placement.session, placement.fs), first, end,
            lambda low, high: _read(archive, device, placement.session, low, high),
            keep_until=int(newest - GROWING_S * placement.fs),
        )  # fmt: skip


def _read(archive: Archive, device: str, session: int, first: int, end: int) -> Samples:
    """Samples first <= i < end of a session's first lead, and whether each came late."""
    samples_mv = np.full(end - first, np.nan, np.float32)
    is_late = np.zeros(end - first, np.bool_)
    stored = longest_of_each_place(archive.waveforms.between_samples(device, session, first, end))
    for each in reversed(as_received(device, stored)):  # the first to arrive is written last
        chunk = each.chunk
        place_samples(chunk, None, first, samples_mv)
        low, high = max(0, chunk.first_sample - first), min(end, chunk.end_sample) - first
        is_late[low:high] = ChunkFlag.HISTORIC in chunk.flags
    return samples_mv, is_late


def _late_windows(engine: Engine, device: str, from_us: int, to_us: int) -> Sequence[tuple[int, int, int]]:
    """(session, first sample, wall time) of historic windows around a span, by the index of such."""
    table = window_table.c
    query = (
        select(table.session, table.first_sample, table.wall_time_us)
        .where(table.device == device, table.historic)
        .where(table.wall_time_us >= from_us - MINUTE_US, table.wall_time_us < to_us + MINUTE_US)
        .order_by(table.wall_time_us)
        .limit(MAX_WINDOWS)
    )
    with engine.connect() as connection:
        return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def verdict_columns(
    placed: Sequence[PlacedVerdict], from_us: int, to_us: int, columns: int
) -> dict[str, list[Any]]:
    """By column: findings that are present with their largest probability, rhythms, windows with none."""
    found: list[dict[str, float]] = [{} for _ in range(columns)]
    rhythm: list[dict[str, int]] = [{} for _ in range(columns)]
    unread: NDArray[np.int64] = np.zeros(columns, np.int64)
    for each in placed:
        column = min(columns - 1, (each.at_us - from_us) * columns // (to_us - from_us))
        for finding in each.verdict.findings:
            if finding.presence == "present":
                known = found[column].get(finding.superclass, 0.0)
                found[column][finding.superclass] = max(known, round(finding.probability, 2))
        if each.verdict.rhythm:
            most = max(each.verdict.rhythm, key=lambda one: one.probability)
            rhythm[column][most.rhythm] = rhythm[column].get(most.rhythm, 0) + 1
        unread[column] += each.verdict.indeterminate is not None
    return {"findings": found, "rhythm": rhythm, "unread": unread.tolist()}
