"""The ingest service: device messages in; stored, then acknowledged; windows and vitals out.

One loop: poll the broker, hand messages to the intake, have committed what gathered, acknowledge it, publish
it. Only the writing itself is done on a thread (committer.py).
"""

import logging
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ingest.allocator import keep_freed_memory
from ingest.backfill import best_windows
from ingest.batch import CommitSchedule, has_room
from ingest.bodies import Bodies
from ingest.chunk import Chunk
from ingest.collector import spare_the_long_lived
from ingest.commit_figures import CommitFigures
from ingest.committer import Committer, Outcome
from ingest.intake import WRONG, Intake
from ingest.limits import in_words
from ingest.link import LinkError, Message, MqttLink
from ingest.mappers.configuration import MapperConfig, MappersError, load_mappers
from ingest.mappers.switch import Mappers
from ingest.metrics import Observe
from ingest.metrics_port import serve_metrics
from ingest.pipeline import DevicePipeline
from ingest.restore import restore_devices
from ingest.retention_desk import RetentionDesk, keeping_of
from ingest.rounds import Rounds
from ingest.settings import Settings
from ingest.standing_session import CLIENT_ID
from ingest.store.archive import Archive, StoreError
from ingest.store.schema import STORE_OK
from ingest.topics import (
    DEVICE_BACKFILL,
    DEVICE_CHUNKS,
    DEVICE_STATUS,
    RETENTION,
    mapped_chunk_topic,
    vitals_topic,
    window_topic,
)
from ingest.vitals import Vitals
from ingest.window import encode_window

POLL_S = 0.2  # longest wait for messages; a signal to end is noticed at latest then
GATHER_S = 0.025  # least time between readings under load, and how late the end of a commit may be noticed
VITALS_EVERY_S = 1.0
VITALS_AT_ONCE = 256  # devices a turn: 15 ms
CONNECT_WITHIN_S = 10.0
KNOWN_AGAIN_US = 60_000_000  # of a mapped device, before its newest chunk: what the broker may send again
BUSY_WAIT_MS = 500  # a locked store must not silence the heartbeat; the commit is tried again

logger = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; raises SystemExit when mappers, store or broker cannot be used."""
    try:
        mappers = () if settings.mappers is None else load_mappers(settings.mappers)
    except MappersError as error:
        raise SystemExit(str(error)) from None
    archive = _open_archive(settings)
    observe = serve_metrics("ingest", settings.metrics_port)
    try:
        service = IngestService(settings, archive, mappers, observe)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: service.stop())
        service.start()
        spare_the_long_lived()
        keep_freed_memory()
    except (LinkError, StoreError) as error:
        raise SystemExit(str(error)) from None
    service.serve()


def _open_archive(settings: Settings) -> Archive:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        Archive.open(settings.store_address)  # with patience: at the first start all services make tables
        return Archive.open(settings.store_address, busy_wait_ms=BUSY_WAIT_MS)
    except OSError as error:
        raise SystemExit(
            f"cannot make the folder {settings.data_dir}: {error.strerror}; set --data-dir to another place"
        ) from None
    except StoreError as error:
        raise SystemExit(str(error)) from None


class IngestService:
    """Joins intake, store and broker; decides nothing itself.

    Raises StoreError where what people set before cannot be read.
    """

    def __init__(
        self,
        settings: Settings,
        archive: Archive,
        mappers: Sequence[MapperConfig] = (),
        observe: Observe | None = None,
    ) -> None:
        self._settings = settings
        self._archive = archive
        keeping = keeping_of(archive, settings.keep_days)
        self._committer = Committer(archive, keeping.keep_days)
        self._mappers = Mappers(mappers, self._newest_chunks)
        self._intake = Intake(self._new_pipeline, self._mappers, self._publish_mapped)
        self._bodies = Bodies(self._parts)
        self._schedule = CommitSchedule(settings.commit_every_s)
        self._unacknowledged: list[Message] = []
        self._dropped: list[Message] = []  # of devices over their limit: nothing of them waits for a commit
        self._turned_away = 0  # messages left to the broker because the store fails
        self._store_state = STORE_OK
        self._figures = CommitFigures()
        self._rounds = Rounds(VITALS_EVERY_S, VITALS_AT_ONCE)
        self._vitals_cpu_s = 0.0
        self._is_stopping = False
        self._link = MqttLink(
            settings.broker_address,
            CLIENT_ID,
            service="ingest",
            persistent=True,
            manual_ack=True,
            gather_s=GATHER_S,
            counters=self.counters,
        )
        self._link.on_beat = observe
        self._desk = RetentionDesk(keeping, self._committer, self._link)

    def stop(self) -> None:
        """End after the present turn: commit, acknowledge, say goodbye."""
        self._is_stopping = True

    def start(self) -> None:
        """Restore, connect and subscribe.

        Raises StoreError when the store cannot be read, LinkError when no broker answers.
        """
        restore_devices(self._archive, self._intake, self._settings.hop_s, _now_us())
        for topic in (DEVICE_CHUNKS, DEVICE_BACKFILL, DEVICE_STATUS, RETENTION, *self._mappers.topics):
            self._link.subscribe(topic)  # before connecting: our presence then says that we are subscribed
        self._link.connect(CONNECT_WITHIN_S)

    def serve(self) -> None:
        """Take turns until `stop`; then commit, acknowledge and leave."""
        while not self._is_stopping:
            self.turn()
        self._conclude(self._committer.wait())
        self._begin_commit()
        self._conclude(self._committer.wait())
        self.close()

    def close(self) -> None:
        """Leave without committing: what is not acknowledged comes again."""
        self._committer.close()
        self._link.close()

    def turn(self) -> None:
        """Poll, take, and do what is due."""
        for message in self._link.poll(self._wait_s()):
            self._take(message)
        self._link.acknowledge(*self._dropped)
        self._dropped.clear()
        self._take_part()
        self._conclude(self._committer.poll())
        self._desk.turn(_now_us())
        now_s = time.monotonic()
        if self._rounds.begins(now_s, lambda: self._intake.roster.devices):
            self._intake.tick(_now_us())
            self._schedule.note_waiting(now_s)  # a commit also looks for windows to be cut again
        if share := self._rounds.share(now_s):
            self._publish_vitals(share)
        if self._unacknowledged or not self._intake.batch.is_empty:
            self._schedule.note_waiting(now_s)
        if not self._committer.is_busy and self._schedule.is_due(now_s, len(self._unacknowledged)):
            self._begin_commit()

    def counters(self) -> dict[str, Any]:
        """What the heartbeat says beside presence; counts are since this process started."""
        known, latest = self._intake.counters, self._intake.latest.values()
        return {
            "devices": self._intake.n_devices,
            "chunks": known.chunks,
            **self._figures.counters(),
            "refused": known.refused,
            "refused_by": dict.fromkeys(WRONG, 0) | known.refused_by,
            "retained": known.retained,
            "over_limit": known.over_limit,
            "crowded": known.crowded,
            "flapping": known.flapping,
            "flooding": len(self._intake.roster.flooding),
            "limits": in_words(self._intake.roster.flooding),
            "windows": known.windows,
            "vitals_cpu_s": round(self._vitals_cpu_s, 3),  # of this process' CPU, for beats and vitals
            "faults": known.faults,
            "lost_samples": sum(each.lost_samples for each in latest),  # of the present sessions
            "late": sum(each.late for each in latest),
            "mapped": known.mapped,
            "bodies": len(self._bodies),
            "doubted": self._intake.n_doubted,
            "backlog": self._n_held,
            "turned_away": self._turned_away,
            "store": self._store_state,
            "dropped_partitions": self._committer.retention.partitions,
            "dropped_windows": self._committer.retention.windows,
            "disk_free_mb": shutil.disk_usage(self._settings.data_dir).free // 1_000_000,
        }

    def _new_pipeline(self, device: str) -> DevicePipeline:
        return DevicePipeline(
            device,
            reorder_wait_s=self._settings.reorder_wait_s,
            hop_s=self._settings.hop_s,
        )

    @property
    def _n_held(self) -> int:
        """Messages received and not acknowledged."""
        return len(self._unacknowledged) + self._committer.n_messages

    def _take(self, message: Message) -> None:
        if message.topic == RETENTION:
            self._desk.take(message)
            self._link.acknowledge(message)
            return
        if self._turned_away or not self._has_room:
            self._turned_away += 1  # in order: once one is left to the broker, all later ones are
            return
        if self._mappers.topics:
            mapper = self._mappers.of(message.topic)
            if mapper is not None and mapper.is_heavy:
                self._bodies.add(message)
                return
        try:
            waits = self._intake.receive(
                message.topic, message.payload, message.received_us, retained=message.retained
            )
        except StoreError as error:
            self._turned_away += 1  # what is stored of its device is not known
            self._note_store(str(error))
            return
        (self._unacknowledged if waits else self._dropped).append(message)

    def _take_part(self) -> None:
        """One part of the oldest large body, while there is room for it."""
        if self._bodies.is_waiting and not self._turned_away and self._has_room:
            done = self._bodies.step()
            if done is not None:
                self._unacknowledged.append(done)
        if self._bodies.must_fetch():
            self._link.reconnect()

    def _parts(self, message: Message) -> Iterator[None]:
        mapper = self._mappers.of(message.topic)
        if mapper is not None:
            place = (mapper, message.topic, message.payload, message.received_us)
            yield from self._intake.parts(*place, retained=message.retained)

    @property
    def _has_room(self) -> bool:
        return has_room(self._n_held, self._intake.batch.n_bytes + self._committer.n_bytes)

    def _newest_chunks(self, device: str) -> Sequence[Chunk]:
        """What is stored of a mapped device's last minute; raises StoreError."""
        heard_us = self._archive.heard_us(device)
        if heard_us is None:
            return ()
        return [each.chunk for each in self._archive.chunks_since(device, heard_us - KNOWN_AGAIN_US)]

    def _publish_mapped(self, device: str, payload: bytes) -> None:
        # QoS 0: for the live picture alone, which the next one soon moves on.
        self._link.publish(mapped_chunk_topic(device), payload, qos=0)

    def _wait_s(self) -> float:
        """How long the next turn may wait for messages."""
        if self._bodies.is_waiting or self._rounds.is_going_on:
            return 0.0
        return GATHER_S if self._committer.is_busy else self._schedule.wait_s(time.monotonic(), POLL_S)

    def _publish_vitals(self, devices: Sequence[str]) -> None:
        cpu_s = time.thread_time()
        by_site: dict[str, list[Vitals]] = {}
        for vitals in self._intake.vitals(_now_us(), devices):
            by_site.setdefault(vitals.device.partition("/")[0], []).append(vitals)
        for site, several in by_site.items():
            # QoS 0: a second later they are said again, and old ones are worth nothing.
            self._link.publish(vitals_topic(site), msgspec.json.encode(several), qos=0)
            if not self._schedule.is_failing:  # derived: while the store fails they are not hoarded
                self._intake.batch.vitals.extend(several)
        self._vitals_cpu_s += time.thread_time() - cpu_s

    def _begin_commit(self) -> None:
        self._committer.begin(self._intake.take(), self._unacknowledged, _now_us())
        self._unacknowledged = []
        self._schedule.began()

    def _conclude(self, outcome: Outcome | None) -> None:
        if outcome is None:
            return
        if isinstance(outcome.committed, StoreError):
            self._put_back(outcome, outcome.committed)
            return
        self._figures.note(outcome.batch, outcome.committed, outcome.took_ms, _now_us())
        self._intake.contradict(outcome.committed.contradicting)
        self._link.acknowledge(*outcome.messages)
        for window in best_windows(outcome.batch.windows):
            if window.place in outcome.committed.new_windows:
                self._link.publish(window_topic(window.device), encode_window(window))
        self._intake.batch.windows += outcome.windows
        self._intake.batch.rework.done += outcome.done
        self._recover()

    def _put_back(self, outcome: Outcome, error: StoreError) -> None:
        self._intake.batch.put_back(outcome.batch)
        self._unacknowledged[:0] = outcome.messages
        self._schedule.failed(time.monotonic())
        self._note_store(str(error))

    def _note_store(self, problem: str) -> None:
        if self._store_state == STORE_OK:
            logger.error("%s; nothing is acknowledged until it works again", problem)
        self._store_state = problem

    def _recover(self) -> None:
        self._schedule.succeeded()
        if self._store_state != STORE_OK:
            logger.warning("the store works again; %d messages come again", self._turned_away)
            self._store_state = STORE_OK
        if self._turned_away and not self._unacknowledged:
            self._turned_away = 0
            self._link.reconnect()


def _now_us() -> int:
    return time.time_ns() // 1000
