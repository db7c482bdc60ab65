"""The `wristlead` command: one subcommand per service, and `demo` and `run`, which start them all."""

import argparse
import contextlib
import functools
import importlib
import logging
import math
import os
import shutil
import signal
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from inference.explain.extra import REMEDY, missing_packages
from inference.notify import extra as notify_extra
from ingest.settings import Settings, SettingsError, load_settings
from ingest.supervisor import EXIT_REFUSED, ServiceRefusedError, Supervisor, end_with_parent

NOTICE = "For education and research only; not a medical device."
MIN_FREE_MB = 200  # an hour of eight 500-Hz patients takes about 60 MB
LOOK_EVERY_S = 0.2  # at dead services and signals

logger = logging.getLogger("wristlead")


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit code."""
    options = vars(_parser().parse_args(arguments))
    command, names = options.pop("command"), set(Settings.model_fields)
    try:
        settings = load_settings(**{k: v for k, v in options.items() if k in names})
    except SettingsError as error:
        return _refuse(f"Invalid setting: {error}")
    _configure_logging(command, settings.log_level)
    own = {k: v for k, v in options.items() if k not in names}
    try:
        return COMMANDS[command](settings, **own) or 0
    except SystemExit as refusal:
        if isinstance(refusal.code, str):
            return _refuse(refusal.code)
        raise
    except KeyboardInterrupt:
        return 0


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return EXIT_REFUSED


def _configure_logging(command: str, level: str) -> None:
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=level,
        stream=sys.stderr,
        format=f"%(asctime)s.%(msecs)03dZ %(levelname)-7s {command}: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    for noisy in ("amqtt", "transitions", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


# --- services -----------------------------------------------------------------------------------------


def _service(module: str) -> Callable[..., int | None]:
    def start(settings: Settings) -> int | None:
        if os.environ.get("WRISTLEAD_SUPERVISED"):
            end_with_parent()
        importlib.import_module(module).run(settings)  # each service loads only what it needs
        return None

    return start


def _ingest(settings: Settings, *, inspect: str | None, json: bool) -> int | None:
    if inspect is None and json:
        raise SystemExit("--json is for --inspect: name a device, or all")
    if inspect is None:
        return _service("ingest.service")(settings)
    from ingest import inspection  # noqa: PLC0415 - each command loads only what it needs

    print(inspection.inspect(settings, inspect, as_json=json))
    return None


def _simulate(
    settings: Settings, *, demo: bool, fleet: int | None, to: Path | None, **options: Any
) -> int | None:
    from simulators import service  # noqa: PLC0415 - each command loads only what it needs

    if to is not None:
        service.write_file(to, options["rhythm"], options["seconds"], options["lead"])
        return None

    if os.environ.get("WRISTLEAD_SUPERVISED"):
        end_with_parent()
    end = {"seconds": options["seconds"], "published_log": options["published_log"]}
    chunk_ms, source = options.pop("chunk_ms"), options.pop("source")
    if source == "galaxy":
        options["site"] = options["site"] or "home"  # where docs/connect.md has the mapper put them
    else:
        options["points"] = None
    if demo:
        service.run(settings, **end)
    elif fleet is not None:
        site = options["site"] or "fleet"
        service.simulate_fleet(settings, fleet, options["faults"], site=site, chunk_ms=chunk_ms, **end)
    else:
        service.simulate(settings, **{**options, "site": options["site"] or "sim"})
    return None


def _notify(settings: Settings, *, list_only: bool, test: str | None) -> int | None:
    if not list_only and test is None:
        return _service("inference.notify.service")(settings)
    from inference.notify import command  # noqa: PLC0415 - each command loads only what it needs

    print(command.list_channels(settings) if test is None else command.send_test(settings, test))
    return None


def _gateway(settings: Settings, *, kind: str, device: str, strap: str | None) -> None:
    module = importlib.import_module(f"ingest.gateways.{kind}.command")
    module.run(settings, device=device, strap=strap)


def _narrate(settings: Settings, *, device: str, show_prompt: bool) -> None:
    from inference.narrative.command import narrate_newest  # noqa: PLC0415 - same

    print(narrate_newest(settings, device, show_prompt=show_prompt))


def _export(settings: Settings, **options: Any) -> int | None:
    from ingest.export.command import run_export  # noqa: PLC0415 - each command loads only what it needs

    run_export(settings, **options)
    return None


def _classify(_settings: Settings, **options: Any) -> int | None:
    from inference.recordings.command import Options, run_classify  # noqa: PLC0415 - same

    return run_classify(Options(**options))


# --- everything at once -------------------------------------------------------------------------------


def _own_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "wristlead", *arguments]


@contextlib.contextmanager
def _house(settings: Settings) -> Iterator[Supervisor]:
    """Broker (unless the user has one) and all services, until the block ends; explain if it can run here."""
    from ingest.broker import broker_command, describe, require_free_port  # noqa: PLC0415 - same
    from ingest.standing_session import wake_session  # noqa: PLC0415 - same
    from ingest.store.archive import Archive, StoreError  # noqa: PLC0415 - same

    _require_room(settings.data_dir)
    _require_mappers(settings.mappers)
    _require_notify(settings.notify_config)
    try:
        Archive.open(settings.store_address)
    except StoreError as error:
        raise SystemExit(str(error)) from None
    require_free_port(settings.dashboard_host, settings.dashboard_port, "dashboard")
    environment = {**settings.as_environment(), "WRISTLEAD_SUPERVISED": "1"}
    supervisor = Supervisor(environment)
    try:
        print(describe(settings), file=sys.stderr)
        if settings.broker is None:
            require_free_port(*settings.broker_address, "broker")
            awake = functools.partial(wake_session, settings)
            supervisor.add("broker", broker_command(settings), started=awake)
        for name in ("ingest", "inference", "alarms", "dashboard"):
            supervisor.add(name, _own_command(name))
        if missing := missing_packages():
            print(f"Without explanations ({', '.join(missing)} not installed): {REMEDY}.", file=sys.stderr)
        else:
            supervisor.add("explain", _own_command("explain"), is_optional=True)
        if settings.notify_config is not None or settings.home_assistant:
            supervisor.add("notify", _own_command("notify"), is_optional=True)
        yield supervisor
    except ServiceRefusedError as refused:
        raise SystemExit(f"Wristlead stopped, because {refused} cannot work here (see above).") from None
    finally:
        supervisor.stop()


def _require_mappers(path: Path | None) -> None:
    """Say what is wrong with the file before anything starts: ingest would say it amid the others' lines."""
    from ingest.mappers.configuration import MappersError, load_mappers  # noqa: PLC0415 - same

    try:
        if path is not None:
            load_mappers(path)
    except MappersError as error:
        raise SystemExit(str(error)) from None


def _require_notify(path: Path | None) -> None:
    """The same for the channels' file; and what to install where it cannot be used without."""
    from inference.notify.configuration import NotifyConfigError, load_notify_config  # noqa: PLC0415 - same

    try:
        if path is None:
            return
        load_notify_config(path)
    except NotifyConfigError as error:
        raise SystemExit(str(error)) from None
    if not notify_extra.is_installed():
        print(f"Without notifications (apprise not installed): {notify_extra.REMEDY}.", file=sys.stderr)


def _require_room(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free_mb = shutil.disk_usage(folder).free / 1e6
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(1_000_000))
    except OSError as error:
        raise SystemExit(
            f"Cannot write to {folder}: {error.strerror}. Free some space there or make it a folder you may "
            "write to, or set --data-dir to another."
        ) from None
    if free_mb < MIN_FREE_MB:
        raise SystemExit(
            f"Only {free_mb:.0f} MB are free in {folder}, at least {MIN_FREE_MB} MB are needed: "
            "free some space, or set --data-dir to another disk."
        )


@contextlib.contextmanager
def _until_stopped() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM become a flag; a second Ctrl-C works as usual."""
    stopped = False

    def stop(number: int, _frame: object) -> None:
        nonlocal stopped
        stopped = True
        signal.signal(number, signal.SIG_DFL)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _run(settings: Settings, *, no_browser: bool) -> int | None:
    with _until_stopped() as is_stopped, _house(settings) as supervisor:
        _announce(settings, no_browser=no_browser)
        while not is_stopped():
            supervisor.watch()
            time.sleep(LOOK_EVERY_S)
    return None


def _announce(settings: Settings, *, no_browser: bool) -> None:
    address = f"http://{settings.dashboard_host}:{settings.dashboard_port}"
    print(f"\nWristlead is starting: {address}\nCtrl-C stops it. {NOTICE}\n", file=sys.stderr)
    if not no_browser and (sys.platform == "darwin" or os.environ.get("DISPLAY")):
        webbrowser.open(address)


def _demo(settings: Settings, *, seconds: float | None, no_browser: bool, json: bool) -> int | None:
    from ingest.run_report import RunReport, as_json, in_words  # noqa: PLC0415 - same

    with contextlib.ExitStack() as stack:
        if "data_dir" not in settings.model_fields_set:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wristlead-demo-"))
            settings = settings.model_copy(update={"data_dir": Path(folder)})
        is_stopped = stack.enter_context(_until_stopped())
        supervisor = stack.enter_context(_house(settings))
        log = settings.data_dir / "published.csv"
        report = RunReport(settings, log)
        while not report.is_ingest_up and not is_stopped():  # else its first chunks had no one to keep them
            supervisor.watch()
            report.listen(LOOK_EVERY_S)
        supervisor.add("simulators", _own_command("simulate", "--demo", "--published-log", str(log)))
        _announce(settings, no_browser=no_browser)
        end_s = math.inf if seconds is None else time.monotonic() + seconds
        while not is_stopped() and time.monotonic() < end_s:
            supervisor.watch()
            report.listen(LOOK_EVERY_S)
            report.say_progress(end_s - time.monotonic())
        supervisor.stop("simulators")
        settled = report.settle(supervisor)
        figures = report.figures(supervisor)
    print(as_json(figures) if json else in_words(figures))
    return 0 if settled else 1


# --- options ------------------------------------------------------------------------------------------

COMMANDS: dict[str, Callable[..., int | None]] = {
    "demo": _demo,
    "run": _run,
    "broker": _service("ingest.broker"),
    "ingest": _ingest,
    "inference": _service("inference.service"),
    "alarms": _service("inference.alarms.service"),
    "explain": _service("inference.explain.service"),
    "notify": _notify,
    "dashboard": _service("dashboard.service"),
    "simulate": _simulate,
    "gateway": _gateway,
    "export": _export,
    "classify": _classify,
    "narrate": _narrate,
}
WHAT = {
    "demo": "everything on this machine, with eight simulated patients",
    "run": "everything on this machine, for your own devices",
    "broker": "an MQTT broker: Mosquitto if installed, else an embedded one",
    "ingest": "store what devices send; cut windows, find beats",
    "inference": "classify windows",
    "alarms": "raise alarms from heart rate, findings and silence",
    "explain": "say which moments made the model answer as it did",
    "notify": "tell people of alarms by ntfy, e-mail, webhook or chat, and Home Assistant of devices",
    "dashboard": "the monitor in a browser",
    "simulate": "simulated patients for any broker",
    "gateway": "a Polar H10 strap over Bluetooth to the broker, with a buffer on disk",
    "narrate": "the newest stored verdict of a device in plain words",
    "export": "stored recordings as WFDB, EDF+ or CSV",
    "classify": "judge files of finished recordings (Apple, Samsung, Polar, WFDB, EDF, FHIR, CSV, JSON)",
}


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    group = shared.add_argument_group(
        "settings (also WRISTLEAD_* variables, or a TOML file in WRISTLEAD_CONFIG)"
    )
    for name, about in Settings.model_fields.items():
        text = f"{about.description} (default: {about.default})"
        group.add_argument(f"--{name.replace('_', '-')}", dest=name, help=text, metavar="X")
    parser = argparse.ArgumentParser(
        prog="wristlead",
        description=f"Live single-lead ECG monitor for wearables. {NOTICE}",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    each = {
        name: commands.add_parser(name, help=what, description=what, parents=[shared], allow_abbrev=False)
        for name, what in WHAT.items()
    }
    for name in ("demo", "run"):
        each[name].add_argument("--no-browser", action="store_true", help="do not open the dashboard")
    each["demo"].add_argument("--seconds", type=float, help="end by itself after this long")
    each["demo"].add_argument("--json", action="store_true", help="print the final figures as JSON")
    each["ingest"].add_argument(
        "--inspect", metavar="DEVICE", help="show refused payloads of SITE/DEVICE, or of which there are: all"
    )
    each["ingest"].add_argument("--json", action="store_true", help="with --inspect: as JSON, payloads whole")
    notify = each["notify"]
    notify.add_argument("--list", dest="list_only", action="store_true", help="show the channels")
    notify.add_argument("--test", metavar="NAME", help="send a test on one channel")
    simulate = each["simulate"]
    simulate.add_argument("--demo", action="store_true", help="the demo's eight patients")
    simulate.add_argument("--patients", type=int, default=1, help="how many (default: 1)")
    simulate.add_argument("--rhythm", default="sinus", help="which patients, such as sinus, af or replay:MI")
    simulate.add_argument(
        "--fault",
        dest="faults",
        action="append",
        default=[],
        help="such as drop=0.02 or inverted; repeatable",
    )
    simulate.add_argument("--lead", choices=("I", "II"), help="default: I, or what was recorded")
    simulate.add_argument("--seconds", type=float, help="end by itself after this long")
    simulate.add_argument(
        "--to",
        type=Path,
        metavar="FILE",
        help="write 5 to 60 s of one patient as CSV, and end (default: 30 s)",
    )
    simulate.add_argument("--site", help="site id in the topics (default: sim; fleet with --fleet)")
    simulate.add_argument("--fleet", type=int, metavar="N", help="N watches of 512-Hz ECG in one cheap loop")
    simulate.add_argument(
        "--source",
        choices=("wire", "galaxy"),
        default="wire",
        help="galaxy: as a Galaxy Watch app (docs/connect.md)",
    )
    simulate.add_argument(
        "--points", type=int, default=10, help="in a galaxy's callback: 5 or 10 (default: 10)"
    )
    simulate.add_argument("--chunk-ms", type=int, default=1000, help="of a fleet's watches (default: 1000)")
    simulate.add_argument("--published-log", type=Path, help="CSV of every acknowledged chunk")
    gateway = each["gateway"]
    gateway.add_argument("kind", choices=("polar",), help="what to fetch from")
    gateway.add_argument("--strap", metavar="X", help="its address (macOS: its id) or name; default: any H10")
    gateway.add_argument(
        "--device", default="home/polar", help="SITE/DEVICE to publish as (default: home/polar)"
    )
    narrate = each["narrate"]
    narrate.add_argument("device", metavar="SITE/DEVICE")
    narrate.add_argument(
        "--show-prompt", action="store_true", help="what --gemini would send, and send nothing"
    )
    _add_export_options(each["export"])
    _add_classify_options(each["classify"])
    return parser


def _add_export_options(export: argparse.ArgumentParser) -> None:
    export.add_argument("device", nargs="?", metavar="SITE/DEVICE")
    export.add_argument("--list", dest="list_only", action="store_true", help="show what is stored")
    export.add_argument(
        "--from", dest="since", metavar="TIME", help="such as 2026-11-25T10:00Z; default: all"
    )
    export.add_argument("--to", dest="until", metavar="TIME")
    export.add_argument(
        "--clock", choices=("arrival", "device"), default="arrival", help="whose times those are (arrival)"
    )
    export.add_argument("--format", dest="format_name", choices=("wfdb", "edf", "csv"), default="wfdb")
    export.add_argument("--out", type=Path, default=Path(), help="folder for the new folder (default: here)")
    export.add_argument("--force", action="store_true", help="replace what was exported there before")
    export.add_argument("--rescale", action="store_true", help="round what does not fit, and say by how much")


def _add_classify_options(classify: argparse.ArgumentParser) -> None:
    from ingest.recordings.recording import Format  # noqa: PLC0415 - each command loads only what it needs

    classify.add_argument("files", nargs="+", type=Path, metavar="FILE", help="files, zips or folders")
    classify.add_argument(
        "--json", dest="as_json", action="store_true", help="all that is known, for scripts"
    )
    classify.add_argument("--report", type=Path, metavar="OUT", help="write a report: OUT.html or OUT.pdf")
    classify.add_argument("--paper", choices=("a4", "letter"), default="a4", help="of a PDF (default: a4)")
    classify.add_argument(
        "--format",
        dest="format_name",
        choices=tuple(map(str, Format)),
        metavar="F",
        help=f"what the files are, if it is not recognised: {', '.join(Format)}",
    )
    classify.add_argument("--lead", help="of several leads the one to take, such as II; of one, what it is")
    classify.add_argument("--fs", type=float, metavar="HZ", help="sampling rate")
    classify.add_argument("--unit", help="of 1 in the file: mV, uV, or such as '2.5 uV' for converter steps")
    classify.add_argument(
        "--column", help="the column or list that is the signal: a name, or a number from 1"
    )
    classify.add_argument("--zone", help="of times without one, such as Europe/Berlin or +02:00")
    classify.add_argument("--jobs", type=int, metavar="N", help="processes (default: one for each core)")


if __name__ == "__main__":
    sys.exit(main())
