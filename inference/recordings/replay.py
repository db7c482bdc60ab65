"""A kept recording, published as if it were live, at true speed, by a process of its own.

    python -m inference.recordings.replay RECORDING_ID

It is the device `replay/ID`, says so (`source` is `replay`), begins a new session each time, ends with the
recording or when somebody asks it to (`wl/v1/replay/ID`), and leaves as a patient does who is discharged:
only after vitals told of its last sample, since whoever sends anything newer than that is a new patient.
"""

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Iterator

import msgspec
import numpy as np

from inference.recordings.kept import KeptRecording, decode_kept
from inference.recordings.worker import JobError, stored_recording
from ingest.chunk import Chunk
from ingest.link import LinkError, Message, MqttLink
from ingest.mappers.exact import encode_exactly
from ingest.recordings import Recording
from ingest.settings import load_settings
from ingest.supervisor import EXIT_REFUSED, end_with_parent
from ingest.topics import (
    REPLAY_SITE,
    device_topic,
    discharge_topic,
    recording_topic,
    replay_topic,
    vitals_topic,
)
from ingest.vitals import Vitals

CHUNK_S = 0.25
HEARD_WITHIN_S = 10.0
TOLD_WITHIN_S = 10.0  # vitals come each second
FAREWELL_S = 3.0  # what was published last is on its way

_vitals_decoder = msgspec.json.Decoder(list[Vitals])


def live_chunks(recording: Recording, device: str, session: int, start_us: int) -> Iterator[Chunk]:
    """The recording in pieces of 250 ms as its device would have sent them; missing samples are gaps."""
    n = max(1, round(CHUNK_S * recording.fs))
    for seq, first in enumerate(range(0, recording.n_samples, n)):
        samples_mv = recording.samples_mv[first : first + n]
        known = np.flatnonzero(~np.isnan(samples_mv))
        if not len(known):
            continue
        low = int(known[0])
        run = samples_mv[low:]
        holes = np.flatnonzero(np.isnan(run))
        run = run[: holes[0]] if len(holes) else run
        begun = first + low
        yield Chunk(
            device, session, seq, begun, start_us + round(begun * 1e6 / recording.fs), 0, recording.fs,
            (recording.lead,), run[:, None].copy(),
        )  # fmt: skip


def play(link: MqttLink, recording: Recording, recording_id: str) -> None:
    """Until it ends, or somebody asks that it ends."""
    device = f"{REPLAY_SITE}/{recording_id}"
    begun_s, begun_us = time.monotonic(), time.time_ns() // 1000
    meta = {"name": f"Replay {recording_id[:6]}", "source": "replay", "lead": recording.lead.name}
    link.publish(device_topic(device, "meta"), msgspec.json.encode(meta), retain=True)
    session, end_sample, is_wanted = secrets.randbits(32), 0, True
    for chunk in live_chunks(recording, device, session, begun_us):
        due_s = begun_s + chunk.end_sample / recording.fs
        while is_wanted and (left_s := due_s - time.monotonic()) > 0:
            is_wanted = not any(
                each.topic == replay_topic(recording_id) for each in link.poll(min(left_s, 0.2))
            )
        if not is_wanted:
            break
        link.publish(device_topic(device, "chunk"), encode_exactly(chunk))
        end_sample = chunk.end_sample
    _wait_until_told(link, device, session, end_sample)
    link.publish(device_topic(device, "meta"), b"", retain=True)
    link.publish(discharge_topic(device), msgspec.json.encode({"who": "replay"}))
    end_s = time.monotonic() + FAREWELL_S
    while time.monotonic() < end_s:
        link.poll(0.1)


def _wait_until_told(link: MqttLink, device: str, session: int, end_sample: int) -> None:
    """Until vitals tell of all samples that were sent, or TOLD_WITHIN_S is over: ingest may be away."""
    end_s, is_told = time.monotonic() + TOLD_WITHIN_S, end_sample == 0
    while not is_told and time.monotonic() < end_s:
        is_told = any(
            vitals.device == device and vitals.session == session and vitals.last_sample >= end_sample
            for message in link.poll(0.1)
            for vitals in _vitals_of(message)
        )


def _vitals_of(message: Message) -> list[Vitals]:
    """None in what is not understood: whoever plays has to leave all the same."""
    if message.topic == vitals_topic(REPLAY_SITE):
        with contextlib.suppress(msgspec.DecodeError):
            return _vitals_decoder.decode(message.payload)
    return []


def main(recording_id: str) -> None:
    """Raises SystemExit with one sentence where it cannot be played."""
    settings = load_settings()
    link = MqttLink(settings.broker_address, f"wl-replay-{os.getpid()}-{secrets.token_hex(3)}")
    link.subscribe(recording_topic(recording_id))
    link.subscribe(replay_topic(recording_id))
    link.subscribe(vitals_topic(REPLAY_SITE))
    try:
        link.connect()
        kept = _described(link)
        play(link, stored_recording(kept, settings.store_address), recording_id)
    except (JobError, LinkError) as error:
        raise SystemExit(str(error)) from None
    finally:
        link.close()


def _described(link: MqttLink) -> KeptRecording:
    end_s = time.monotonic() + HEARD_WITHIN_S
    while time.monotonic() < end_s:
        for message in link.poll(0.1):
            if message.topic.startswith(recording_topic("")) and message.payload:
                return decode_kept(message.payload)
    raise JobError("there is no such recording")


if __name__ == "__main__":
    end_with_parent()
    try:
        main(sys.argv[1])
    except SystemExit as refusal:
        sys.stderr.write(f"{refusal.code}\n")
        sys.exit(EXIT_REFUSED)
