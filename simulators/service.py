"""Settings -> running simulated patients: the demo's eight, or as many as asked for on one's own broker."""

import logging
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.chunk import Lead
from ingest.metrics_port import serve_metrics
from ingest.settings import Settings
from simulators.device import Device
from simulators.ecg_file import write_ecg
from simulators.faults import parse_faults
from simulators.fleet import Fleet, FleetError
from simulators.galaxy import GalaxyWatch
from simulators.patients import build_patient
from simulators.watches import FleetPlan, WatchFleet

SERVICE = "simulators"
FILE_S = 30.0
SEED = 20_260_728  # the demo shows the same patients each time
MAX_PATIENTS = 2_000  # more connections than one process can drive at 4 chunks a second

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bed:
    """One demo bed: which patient, which faults."""

    patient: str
    faults: tuple[str, ...] = ()
    is_restless: bool = False


BAD_CONNECTION = ("drop=0.02", "duplicate=0.02", "reorder=0.02", "corrupt=0.005", "disconnect=6/60")
DEMO_BEDS = (
    Bed("replay:NORM"),
    Bed("replay:MI"),
    Bed("replay:STTC"),
    Bed("replay:CD"),
    Bed("replay:HYP"),
    Bed("replay:AF"),
    Bed("asystole"),  # stops for 8 s each 3 minutes, first after 40 s
    Bed("sinus", BAD_CONNECTION, is_restless=True),
)


def run(settings: Settings, *, seconds: float | None = None, published_log: Path | None = None) -> None:
    """The demo's eight patients, until SIGTERM, SIGINT or `seconds` have passed.

    Raises SystemExit with one sentence when no broker answers.
    """
    devices = demo_devices()
    logger.info("eight simulated patients: %s", ", ".join(bed.patient for bed in DEMO_BEDS))
    fleet = Fleet(settings.broker_address, devices, service=SERVICE, published_log=published_log)
    _run_fleet(fleet, settings, seconds)


def simulate(  # noqa: PLR0913 - the options of the command
    settings: Settings,
    patients: int = 1,
    rhythm: str = "sinus",
    faults: Sequence[str] = (),
    *,
    lead: str | None = None,
    seconds: float | None = None,
    published_log: Path | None = None,
    site: str = "sim",
    points: int | None = None,
) -> None:
    """`patients` devices `site/patient-001` ... on the broker of the settings.

    `rhythm` is a name `build_patient` knows, `faults` are words such as `drop=0.02` (`parse_faults`), `lead`
    is "I" or "II". With `points` they are Galaxy Watches with so many points a callback (5 or 10).
    Raises SystemExit with one sentence for what it cannot do.
    """
    if not 1 <= patients <= MAX_PATIENTS:
        raise SystemExit(f"patients is {patients}, want 1 to {MAX_PATIENTS}")
    try:
        plan = parse_faults(faults)
        devices = list[Device]()
        for number, rng in enumerate(np.random.default_rng().spawn(patients), start=1):
            patient = build_patient(rhythm, rng, number - 1, lead=None if lead is None else Lead[lead])
            device, name, own = f"{site}/patient-{number:03d}", f"Patient {number}", rng.spawn(1)[0]
            if points is None:
                devices.append(Device(device, name, patient, secrets.randbits(32), own, faults=plan))
            else:
                devices.append(GalaxyWatch(device, name, patient, own, points=points, faults=plan))
    except ValueError as error:
        raise SystemExit(str(error)) from None
    logger.info("simulated patients (%s): %s", patients, rhythm)
    _run_fleet(Fleet(settings.broker_address, devices, published_log=published_log), settings, seconds)


def write_file(path: Path, rhythm: str, seconds: float | None, lead: str | None) -> None:
    """One patient as a file of a finished recording; raises SystemExit with one sentence."""
    try:
        of_lead = None if lead is None else Lead[lead]
        write_ecg(path, rhythm, seconds or FILE_S, np.random.default_rng(), lead=of_lead)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        raise SystemExit(f"cannot write {path}: {error.strerror or error}") from None


def simulate_fleet(  # noqa: PLR0913 - the options of the command
    settings: Settings,
    n_watches: int,
    faults: Sequence[str] = (),
    *,
    site: str = "fleet",
    chunk_ms: int = 1000,
    seconds: float | None = None,
    published_log: Path | None = None,
) -> None:
    """Watches `site/watch-00000` ... of 512-Hz lead-I ECG on the broker of the settings.

    Raises SystemExit with one sentence for what it cannot do.
    """
    try:
        plan = FleetPlan(n_watches=n_watches, site=site, chunk_ms=chunk_ms, faults=parse_faults(faults))
        fleet = WatchFleet(settings.broker_address, plan, published_log)
    except (ValueError, FleetError) as error:
        raise SystemExit(str(error)) from None
    logger.info("%s watches, %s ms a chunk", plan.n_watches, plan.chunk_ms)
    _run_fleet(fleet, settings, seconds)


def demo_devices() -> list[Device]:
    """The eight of the demo, `demo/bed-01` to `demo/bed-08`; each start is a new session."""
    devices = []
    for number, (bed, rng) in enumerate(
        zip(DEMO_BEDS, np.random.default_rng(SEED).spawn(len(DEMO_BEDS)), strict=True), start=1
    ):
        patient = build_patient(bed.patient, rng, is_restless=bed.is_restless)
        devices.append(
            Device(
                f"demo/bed-{number:02d}",
                f"Bed {number:02d}",
                patient,
                secrets.randbits(32),
                rng.spawn(1)[0],
                faults=parse_faults(bed.faults),
            )
        )
    return devices


def _run_fleet(fleet: Fleet | WatchFleet, settings: Settings, seconds: float | None) -> None:
    if seconds is not None and not seconds > 0:
        raise SystemExit(f"seconds is {seconds:g}, want more than 0")
    fleet.on_beat = serve_metrics("simulate", settings.metrics_port)
    try:
        fleet.run(_stop_condition(seconds))
    except FleetError as error:
        raise SystemExit(str(error)) from None
    logger.info("simulators end: %s", fleet.snapshot())


def _stop_condition(seconds: float | None) -> Callable[[], bool]:
    """True after SIGTERM, SIGINT or `seconds`."""
    end_s = np.inf if seconds is None else time.monotonic() + seconds
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: received.append(number))
    return lambda: bool(received) or time.monotonic() >= end_s
