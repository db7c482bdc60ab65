"""Files, archives and folders -> what came of each recording, by several processes, in the order given."""

import functools
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path

from inference.classifier import Classifier
from inference.recordings.judge import judge_each
from inference.recordings.report import Part
from inference.recordings.strip import Strip, strip_of
from inference.recordings.summary import Summary, summary_of
from ingest.recordings import Hints, RecordingError
from ingest.recordings.archive import Archive
from ingest.recordings.reader import read_member

ALONE = 8  # files up to which starting processes (a second each) costs more than it saves
MOST_AT_ONCE = 16  # files handed to a process, and recordings judged side by side

Progress = Callable[[int, int], None]  # files done, of how many


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One recording: what was found; or, of a file, why it was refused."""

    summary: Summary | None
    strip: Strip | None = None  # where it was asked for
    refused: str | None = None

    @property
    def part(self) -> Part | None:
        """For a report."""
        return None if self.summary is None or self.strip is None else Part(self.summary, self.strip)


class WorkerDiedError(Exception):
    """A process ended without an answer, most likely for want of memory."""


def classify_files(
    paths: Sequence[Path], hints: Hints, jobs: int, *, with_strips: bool, progress: Progress | None = None
) -> Iterator[Outcome]:
    """Each recording of each path in order; raises WorkerDiedError."""
    work, refused = _work(paths)
    n_files = sum(len(names) for _, names in work)
    jobs = max(1, min(jobs, len(work)))
    judge_some = functools.partial(judge_members, hints=hints, with_strips=with_strips)
    yield from refused
    if jobs == 1 or n_files <= ALONE:
        answers: Iterator[list[Outcome]] = (judge_some(path, names) for path, names in work)
        yield from _counted(answers, work, n_files, progress)
        return
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_quiet_worker)
    try:
        futures = [pool.submit(judge_some, path, names) for path, names in work]
        yield from _counted(map(Future.result, futures), work, n_files, progress)
    except BrokenProcessPool:
        raise WorkerDiedError(
            "a process that judged files died, most likely for want of memory: --jobs 1"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def judge_members(path: Path, names: Sequence[str], *, hints: Hints, with_strips: bool) -> list[Outcome]:
    """Some files of one path; runs in any process."""
    outcomes: list[Outcome] = []
    with closing(Archive(path)) as archive:
        found = chain.from_iterable(read_member(archive, name, hints) for name in names)
        while some := list(islice(found, MOST_AT_ONCE)):
            good = [each for each in some if not isinstance(each, RecordingError)]
            judged = iter(judge_each(good, _classifier()))
            for each in some:
                if isinstance(each, RecordingError):
                    outcomes.append(Outcome(None, refused=str(each)))
                else:
                    one = next(judged)
                    outcomes.append(Outcome(summary_of(one), strip_of(one) if with_strips else None))
    return outcomes


def default_jobs() -> int:
    """One process for each core that this one may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _classifier() -> Classifier:
    """One for each process."""
    return Classifier.load()


def _quiet_worker() -> None:
    """One thread, and Ctrl-C is for the process that a person sees."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(paths: Sequence[Path]) -> tuple[list[tuple[Path, list[str]]], list[Outcome]]:
    """Paths with some of their files each; and the paths that are refused as a whole."""
    work: list[tuple[Path, list[str]]] = []
    refused = []
    for path in paths:
        try:
            with closing(Archive(path)) as archive:
                names = list(archive.names)
        except RecordingError as error:
            refused.append(Outcome(None, refused=str(error.within(path.name))))
            continue
        work += [(path, names[first : first + MOST_AT_ONCE]) for first in range(0, len(names), MOST_AT_ONCE)]
    return work, refused


def _counted(
    answers: Iterator[list[Outcome]],
    work: Sequence[tuple[Path, list[str]]],
    n_files: int,
    progress: Progress | None,
) -> Iterator[Outcome]:
    done = 0
    for outcomes, (_, names) in zip(answers, work, strict=True):
        yield from outcomes
        done += len(names)
        if progress is not None:
            progress(done, n_files)
