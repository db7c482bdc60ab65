"""A process that reads, judges and keeps recordings for a dashboard, so that no page waits for it.

    python -m inference.recordings.worker

It takes one job a line (JSON) on stdin and answers with lines on stdout: `{"done", "of"}` while it works,
`{"kept"}` and `{"refused"}` for each recording, `{"file"}` for what it wrote, and at last `{"end": true}` or
`{"error"}` in words. A job that hangs is ended by killing the process; settings come by
WRISTLEAD_* variables.
"""

import datetime as dt
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from inference.classifier import Classifier
from inference.recordings.command import Options, hints_of
from inference.recordings.html_report import html_report
from inference.recordings.judge import judge, judge_each
from inference.recordings.kept import SESSION, KeptRecording, chunks_of, decode_kept, kept_of, recording_of
from inference.recordings.pdf_report import REMEDY, pdf_report
from inference.recordings.report import Part, Report
from inference.recordings.strip import strip_of
from inference.recordings.summary import summary_of
from inference.report.pdf_lines import is_installed
from ingest.export.fhir_observation import observation_of
from ingest.link import LinkError, MqttLink
from ingest.mappers.exact import encode_exactly
from ingest.recordings import Hints, Recording, RecordingError
from ingest.recordings.archive import Archive
from ingest.recordings.reader import read_member
from ingest.settings import Settings, load_settings
from ingest.store.archive import Archive as Store
from ingest.store.errors import StoreError
from ingest.supervisor import end_with_parent
from ingest.topics import device_topic, recording_topic

AT_ONCE = 16  # recordings judged side by side
HEARD_WITHIN_S = 30.0  # what was published, by the broker
TURN_EVERY = 50  # publications

Answer = Callable[[dict[str, Any]], None]


class Keep(msgspec.Struct, frozen=True, tag_field="job", tag="keep"):
    """Read a file or archive, judge each recording and keep it."""

    path: str
    hints: dict[str, Any]  # of `Options`
    who: str


class Draw(msgspec.Struct, frozen=True, tag_field="job", tag="draw"):
    """Write a report, or the samples as FHIR, of a kept recording."""

    kept: msgspec.Raw
    kind: str  # html, pdf, fhir
    out: str
    paper: str = "a4"


class Remove(msgspec.Struct, frozen=True, tag_field="job", tag="remove"):
    """Take a description away."""

    id: str


class JobError(Exception):
    """A job cannot be done; the message says why, for people."""


def keep(job: Keep, settings: Settings, classifier: Classifier, answer: Answer) -> None:
    """Every recording of a file; raises JobError where the broker does not answer."""
    path = Path(job.path)
    try:
        hints = hints_of(Options(files=(), **job.hints))
    except SystemExit as refusal:
        raise JobError(str(refusal)) from None
    try:
        archive = Archive(path)
    except RecordingError as error:
        answer({"refused": _refusal(error)})
        return
    with closing(archive):
        found = _read(archive, hints, answer)
        while some := list(islice(found, AT_ONCE)):
            for each in some:
                if isinstance(each, RecordingError):
                    answer({"refused": _refusal(each)})
            good = [each for each in some if not isinstance(each, RecordingError)]
            described = list(_described(good, classifier, job.who, answer))
            if described:
                publish(described, settings)
            for _, kept in described:
                answer({"kept": {"id": kept.id, "file": kept.summary.file}})


def _described(
    recordings: Sequence[Recording], classifier: Classifier, who: str, answer: Answer
) -> Iterator[tuple[Recording, KeptRecording]]:
    """Those that can be kept, judged."""
    for recording, judged in zip(recordings, judge_each(recordings, classifier, _now_us()), strict=True):
        try:
            kept = kept_of(recording, summary_of(judged), added_us=_now_us(), who=who)
        except RecordingError as error:
            answer({"refused": _refusal(error)})
        else:
            yield recording, kept


def draw(job: Draw, store_address: str, classifier: Classifier) -> None:
    """What the job asks for, from the stored samples; raises JobError."""
    kept = decode_kept(bytes(job.kept))
    recording = stored_recording(kept, store_address)
    if job.kind == "fhir":
        observation = observation_of(
            recording.samples_mv, recording.fs, recording.lead, recording.start, recording.device
        )
        Path(job.out).write_bytes(msgspec.json.encode(observation))
        return
    if job.kind == "pdf" and not is_installed():
        raise JobError(REMEDY)
    judged = judge(recording, classifier)
    report = Report(dt.datetime.now(dt.UTC), [Part(summary_of(judged), strip_of(judged))], ())
    content = pdf_report(report, job.paper) if job.kind == "pdf" else html_report(report).encode()
    Path(job.out).write_bytes(content)


def remove(job: Remove, settings: Settings) -> None:
    """Take the description from the broker; raises JobError where it does not answer."""
    with closing(_connected(settings, [job.id])) as link:
        link.publish(recording_topic(job.id), b"", retain=True)
        _wait_for(link, {job.id})


def stored_recording(kept: KeptRecording, store_address: str) -> Recording:
    """The recording as it was read; raises JobError where it is not stored, or not wholly yet."""
    try:
        stored = Store.open(store_address).chunks_at(kept.device, SESSION, 0, kept.n_samples)
    except StoreError as error:
        raise JobError(f"the store cannot be read: {error}") from None
    recording = recording_of(kept, [each.chunk for each in stored])
    if recording.identity != kept.summary.identity:
        raise JobError(
            "its samples are not all in the store: not yet, or no longer; ask again in a few seconds, "
            "or add the file again"
        )
    return recording


def _read(archive: Archive, hints: Hints, answer: Answer) -> Iterator[Recording | RecordingError]:
    for done, name in enumerate(archive.names):
        answer({"done": done, "of": len(archive.names)})
        yield from read_member(archive, name, hints)


def publish(wanted: Sequence[tuple[Recording, KeptRecording]], settings: Settings) -> None:
    """Samples, then what was found; raises JobError where the broker does not take them."""
    with closing(_connected(settings, [kept.id for _, kept in wanted])) as link:
        for recording, kept in wanted:
            for number, chunk in enumerate(chunks_of(recording, kept), 1):
                link.publish(device_topic(kept.device, "backfill"), encode_exactly(chunk))
                if number % TURN_EVERY == 0:
                    link.poll(0.0)
            link.publish(recording_topic(kept.id), msgspec.json.encode(kept), retain=True)
        _wait_for(link, {kept.id for _, kept in wanted})


def _wait_for(link: MqttLink, ids: set[str]) -> None:
    """Until the broker has said each description to everybody, and so has the chunks before it."""
    end_s = time.monotonic() + HEARD_WITHIN_S
    while ids:
        for message in link.poll(0.05):
            if not message.retained:
                ids.discard(message.topic.rpartition("/")[2])
        if time.monotonic() > end_s:
            raise JobError("the broker does not answer: nothing is known to be kept")


def _connected(settings: Settings, ids: Sequence[str]) -> MqttLink:
    """Hears what is said of these recordings; raises JobError."""
    link = MqttLink(settings.broker_address, f"wl-recordings-{os.getpid()}-{os.urandom(3).hex()}")
    for each in ids:
        link.subscribe(recording_topic(each))
    try:
        link.connect()
    except LinkError as error:
        raise JobError(str(error)) from None
    end_s = time.monotonic() + HEARD_WITHIN_S
    while not link.is_subscribed and time.monotonic() < end_s:
        link.poll(0.05)
    return link


def _refusal(error: RecordingError) -> dict[str, Any]:
    return {"file": error.file, "line": error.line, "reason": error.reason}


def _now_us() -> int:
    return time.time_ns() // 1000


class Worker:
    """One job after another."""

    def __init__(self, settings: Settings, answer: Answer) -> None:
        self._settings = settings
        self._answer = answer
        self._classifier: Classifier | None = None

    def do(self, line: bytes) -> None:
        """One job and its last answer."""
        job = msgspec.json.decode(line, type=Keep | Draw | Remove)
        try:
            if isinstance(job, Draw):
                draw(job, self._settings.store_address, self._loaded())
                self._answer({"file": job.out})
            elif isinstance(job, Keep):
                keep(job, self._settings, self._loaded(), self._answer)
            else:
                remove(job, self._settings)
        except JobError as error:
            self._answer({"error": str(error)})
        else:
            self._answer({"end": True})

    def _loaded(self) -> Classifier:
        if self._classifier is None:
            self._classifier = Classifier.load(self._settings.weights_dir)
        return self._classifier


def main(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Until the jobs end."""

    def answer(told: dict[str, Any]) -> None:
        answers.write(msgspec.json.encode(told) + b"\n")
        answers.flush()

    worker = Worker(load_settings(), answer)
    for line in jobs:
        worker.do(line)


if __name__ == "__main__":
    end_with_parent()
    with os.fdopen(os.dup(1), "wb") as told:
        os.dup2(2, 1)  # what a library prints is no answer
        main(sys.stdin.buffer, told)
