"""What the pages of recordings ask, at `/data/recordings...`: what is kept, uploads, reports, replays.

Uploads are answered with a line of JSON for each thing that happens; the connection is the job: who closes it
ends it. All that lasts is at the broker and in the store, so that any dashboard can serve it.
"""

import asyncio
import contextlib
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from dashboard.data_routes import AskedWronglyError, answered, refused, whole_of
from dashboard.hub import Hub
from dashboard.past import Past
from dashboard.recording_view import list_answer, recording_answer
from dashboard.recording_worker import RecordingWorker, WorkerError
from dashboard.requests import StopReplay
from dashboard.review_export import CONTENT_TYPES, data_file
from dashboard.texts import recordings as texts
from dashboard.upload import new_folder, parts_of, remove_left_folders, write_parts
from inference.alarms.person import MAX_WHO
from inference.recordings.kept import KeptRecording
from ingest.export.extra import FORMATS
from ingest.settings import Settings
from ingest.store.errors import StoreError

MAX_UPLOADS = 4
MAX_REPLAYS = 4
MAX_HINT = 80  # characters
HINTS = {
    "format": "format_name",
    "fs": "fs",
    "unit": "unit",
    "lead": "lead",
    "column": "column",
    "zone": "zone",
}
REPORTS = {"html": "text/html", "pdf": "application/pdf", "fhir": "application/fhir+json"}
LINES = "application/x-ndjson"
_OPTION = re.compile(r"(with )?--(fs|unit|lead|column|zone|format)\b")


class RecordingDesk:
    """Two processes that work for the pages, one that reads and one that draws, and those that replay."""

    def __init__(self, settings: Settings, hub: Hub, past: Past) -> None:
        self._environment = {**os.environ, **settings.as_environment()}
        self._reader, self._drawer = RecordingWorker(self._environment), RecordingWorker(self._environment)
        self._playing: dict[str, asyncio.subprocess.Process] = {}
        self._n_uploads = 0
        self._hub, self._past = hub, past
        self._store_address = settings.store_address
        remove_left_folders()

    def find(self, recording_id: str) -> KeptRecording:
        """Its description; raises AskedWronglyError where there is none."""
        kept = self._hub.look(lambda monitor, _: monitor.recordings.find(recording_id))
        if kept is None:
            raise AskedWronglyError(texts.UNKNOWN_RECORDING)
        return kept

    async def upload(self, request: Request) -> Response:
        """Files of one recording or archive -> lines of what became of them."""
        asked = request.query_params
        folder = new_folder()
        try:
            with self._place():
                parts = parts_of(asked.get("parts"))
                paths = await write_parts(request.stream(), parts, Path(folder.name))
            return self._reading(folder, main_file(paths), asked)
        except AskedWronglyError as error:
            folder.cleanup()
            return refused(error)
        except ClientDisconnect:
            folder.cleanup()
            return Response(status_code=400)

    async def demo(self, request: Request) -> Response:
        """A simulated ECG, by way of a file as everybody's."""
        folder = new_folder()
        try:
            kind = request.query_params.get("kind", "")
            seconds = whole_of(request.query_params, "seconds", 5, 60)
            kind = _one_of(texts.DEMO_KINDS, kind)
            path = Path(folder.name) / f"demo_{kind.rpartition(':')[2]}_{seconds}_s.csv"
            command = ("simulate", "--to", str(path), "--rhythm", kind, "--seconds", str(seconds))
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "wristlead", *command, env=self._environment
            )
            _must(texts.DEMO_FAILED, is_so=await process.wait() == 0)
            return self._reading(folder, path, {"who": request.query_params.get("who", "")})
        except AskedWronglyError as error:
            folder.cleanup()
            return refused(error)

    async def report(self, recording_id: str, kind: str, request: Request) -> Response:
        """A report, or the samples as FHIR."""
        try:
            kept = self.find(recording_id)
            kind = _one_of(REPORTS, kind)
            paper = "letter" if request.query_params.get("paper") == "letter" else "a4"
            with new_folder() as folder:
                out = Path(folder) / "out"
                job = {"job": "draw", "kept": kept, "kind": kind, "out": str(out), "paper": paper}
                async for _ in self._drawer.ask(job):
                    pass
                content = out.read_bytes()
        except AskedWronglyError as error:
            return refused(error)
        except WorkerError as error:
            return refused(AskedWronglyError(str(error)))
        ending = "json" if kind == "fhir" else kind
        headers = {"Content-Disposition": f'attachment; filename="{_stem(kept)}.{ending}"'}
        return Response(content, headers=headers, media_type=REPORTS[kind])

    def export(self, recording_id: str, kind: str) -> Response:
        """The samples as they were kept, as WFDB, EDF+ or CSV."""
        try:
            kept = self.find(recording_id)
            kind = _one_of(FORMATS, kind)
            extent = self._past.extents([kept.device]).get(kept.device, (0, 0))
            _must(texts.NOT_STORED, is_so=extent[1] > 0)
            span = {"from_us": str(extent[0]), "to_us": str(extent[1] + 1)}
            pieces = data_file(self._store_address, kind, kept.device, span)
        except (AskedWronglyError, StoreError) as error:
            return refused(error)
        headers = {"Content-Disposition": f'attachment; filename="{_stem(kept)}_{kind}.zip"'}
        return StreamingResponse(pieces, headers=headers, media_type=CONTENT_TYPES[kind])

    async def remove(self, recording_id: str) -> Response:
        """Take it from the list."""
        try:
            kept = self.find(recording_id)
            async for _ in self._drawer.ask({"job": "remove", "id": kept.id}):
                pass
        except AskedWronglyError as error:
            return refused(error)
        except WorkerError as error:
            return refused(AskedWronglyError(str(error)))
        return answered(lambda: {"removed": kept.id})

    async def replay(self, recording_id: str, request: Request) -> Response:
        """Begin (`on=1`) or end (`on=0`) to play it as if it were live."""
        try:
            kept = self.find(recording_id)
            who = request.query_params.get("who", "")[:MAX_WHO]
            if whole_of(request.query_params, "on", 0, 1) == 0:
                self._hub.ask(StopReplay(who=who, recording_id=kept.id))
            else:
                await self._play(kept)
        except AskedWronglyError as error:
            return refused(error)
        return answered(lambda: {"device": f"replay/{kept.id}"})

    async def _play(self, kept: KeptRecording) -> None:
        self._playing = {id_: each for id_, each in self._playing.items() if each.returncode is None}
        if kept.id in self._playing:
            return
        if len(self._playing) >= MAX_REPLAYS:
            raise AskedWronglyError(texts.TOO_MANY_REPLAYS.format(most=MAX_REPLAYS))
        self._playing[kept.id] = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "inference.recordings.replay",
            kept.id,
            env=self._environment,
            start_new_session=True,
        )

    @contextlib.contextmanager
    def _place(self) -> Any:
        if self._n_uploads >= MAX_UPLOADS:
            raise AskedWronglyError(texts.TOO_MANY_UPLOADS.format(most=MAX_UPLOADS))
        self._n_uploads += 1
        try:
            yield
        finally:
            self._n_uploads -= 1

    def _reading(
        self, folder: "tempfile.TemporaryDirectory[str]", path: Path, asked: Mapping[str, str]
    ) -> Response:
        hints = hints_asked(asked)
        job = {"job": "keep", "path": str(path), "hints": hints, "who": asked.get("who", "")[:MAX_WHO]}

        async def lines() -> AsyncIterator[bytes]:
            try:
                async with contextlib.aclosing(self._reader.ask(job)) as answers:
                    async for told in answers:
                        yield msgspec.json.encode(self._shown(told)) + b"\n"
                yield b'{"end":true}\n'
            except WorkerError as error:
                yield msgspec.json.encode({"error": for_page(str(error))}) + b"\n"
            finally:
                folder.cleanup()

        return StreamingResponse(lines(), media_type=LINES, headers={"Cache-Control": "no-store"})

    def _shown(self, told: dict[str, Any]) -> dict[str, Any]:
        if "refused" in told:
            return {"refused": told["refused"] | {"reason": for_page(told["refused"]["reason"])}}
        return told


def add_recording_routes(server: FastAPI, settings: Settings, hub: Hub, past: Past) -> None:
    """Serve all of it."""
    desk = RecordingDesk(settings, hub, past)

    def kept_list(known: str = "") -> Response:
        return answered(lambda: list_answer(hub, known))

    def one(recording_id: str) -> Response:
        return answered(lambda: recording_answer(hub, past, desk.find(recording_id)))

    server.add_api_route("/data/recordings", kept_list)
    server.add_api_route("/data/recordings/upload", desk.upload, methods=["POST"])
    server.add_api_route("/data/recordings/demo", desk.demo, methods=["POST"])
    server.add_api_route("/data/recordings/{recording_id}", one)
    server.add_api_route("/data/recordings/{recording_id}/report/{kind}", desk.report)
    server.add_api_route("/data/recordings/{recording_id}/export/{kind}", desk.export)
    server.add_api_route("/data/recordings/{recording_id}/remove", desk.remove, methods=["POST"])
    server.add_api_route("/data/recordings/{recording_id}/replay", desk.replay, methods=["POST"])


def hints_asked(asked: Mapping[str, str]) -> dict[str, Any]:
    """What the page says of a file, as the command's options; raises AskedWronglyError."""
    hints: dict[str, Any] = {
        option: asked[name].strip()[:MAX_HINT]
        for name, option in HINTS.items()
        if asked.get(name, "").strip()
    }
    if "fs" in hints:
        try:
            hints["fs"] = float(hints["fs"].replace(",", "."))
        except ValueError:
            raise AskedWronglyError(f"Rate is {hints['fs']!r}, want a number of Hz such as 512") from None
    return hints


def main_file(paths: list[Path]) -> Path:
    """The one that is read: of a WFDB record its header."""
    return next((path for path in paths if path.suffix == ".hea"), paths[0])


def for_page(reason: str) -> str:
    """The command's options are fields of the page."""
    return _OPTION.sub(lambda found: f"{'under ' if found[1] else ''}{texts.FIELDS[found[2]]}", reason)


def _one_of(known: Iterable[str], kind: str) -> str:
    if kind not in known:
        raise AskedWronglyError(f"{kind[:20]!r} is not known, want one of {', '.join(known)}")
    return kind


def _must(otherwise: str, *, is_so: bool) -> None:
    if not is_so:
        raise AskedWronglyError(otherwise)


def _stem(kept: KeptRecording) -> str:
    return f"recording_{kept.id}"
