"""What devices were told is safe, against what the store holds: the figures of a demo or a soak."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, Engine, and_, func, select

from ingest.chunk import Place
from ingest.store.insertion import outdoes
from ingest.store.location import waveforms_of
from ingest.store.schema import verdict_table, window_table
from ingest.window import MIN_COVERAGE

N_FIELDS = 7  # device,session,first_sample,n_samples,published_us,acked_us,kind


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Median and 99th percentile, milliseconds; None when nothing was measured."""

    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Account:
    """Everything that was published, stored and decided."""

    published: int  # different chunks that the broker acknowledged to their device
    stored: int  # chunks in the store
    lost: int  # acknowledged and not in the store
    windows: int
    eligible: int  # windows with enough samples for the model
    verdicts: int  # of eligible windows, on as many samples as they hold
    missing_verdicts: int  # eligible windows without one
    indeterminate: dict[str, int]  # reason -> verdicts that could not tell, of all windows
    publish_arrival_ms: Quantiles  # from a device's publication to ingest's socket
    window_verdict_ms: Quantiles  # from closing a window to its verdict


def account(engine: Engine, published_log: Path) -> Account:
    """Compare the devices' log of acknowledged publications with the store.

    The log is CSV, one line for each acknowledged publication: `device,session,first_sample,n_samples,
    published_us,acked_us,kind`; kind `chunk` must be in the store, others may. A torn last line is ignored.
    Raises ValueError naming any other line that cannot be read, OSError when the log cannot.
    """
    published_us = dict(_acknowledged_chunks(published_log))
    stored = _arrivals(engine)
    with engine.connect() as connection:
        eligible, verdicts, delays_ms = _verdicts(connection)
        return Account(
            published=len(published_us),
            stored=len(stored),
            lost=len(published_us.keys() - stored.keys()),
            windows=connection.scalars(select(func.count()).select_from(window_table)).one(),
            eligible=eligible,
            verdicts=verdicts,
            missing_verdicts=eligible - verdicts,
            indeterminate=_indeterminate(connection),
            publish_arrival_ms=_quantiles(
                [
                    (stored[place] - sent_us) / 1000
                    for place, sent_us in published_us.items()
                    if place in stored
                ]
            ),
            window_verdict_ms=_quantiles(delays_ms),
        )


def _acknowledged_chunks(path: Path) -> Iterator[tuple[Place, int]]:
    """Place and time of publication of every line of kind chunk."""
    lines = path.read_text().splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()  # torn: the writer was killed in the middle
    for number, fields in enumerate(csv.reader(lines), start=1):
        if fields[:1] == ["device"]:
            continue
        try:
            device, session, first_sample, _n_samples, sent_us, _acked_us, kind = fields
            place, published_us = (device, int(session), int(first_sample)), int(sent_us)
        except ValueError:
            raise ValueError(f"{path} line {number} is {fields}, want {N_FIELDS} fields") from None
        if kind == "chunk":
            yield place, published_us


def _arrivals(engine: Engine) -> dict[Place, int]:
    """When each place came, Unix microseconds; the first arrival where it came twice."""
    found: dict[Place, int] = {}
    for part in waveforms_of(engine).arrivals():
        columns = (part.sessions.tolist(), part.first_samples.tolist(), part.received_us.tolist())
        for session, first, received_us in zip(*columns, strict=True):
            place = (part.device, session, first)
            found[place] = min(received_us, found.get(place, received_us))
    return found


def _verdicts(connection: Connection) -> tuple[int, int, list[float]]:
    """Eligible windows, how many of them have a verdict, and how long each took, ms."""
    window, verdict = window_table.c, verdict_table.c
    its_own = and_(
        verdict.device == window.device,
        verdict.session == window.session,
        verdict.first_sample == window.first_sample,
        ~outdoes(window, verdict),  # a verdict on fewer samples is to be replaced
    )
    rows = connection.execute(
        select(window.closed_us, verdict.decided_us)
        .select_from(window_table.outerjoin(verdict_table, its_own))
        .where(window.coverage >= MIN_COVERAGE)
    ).all()
    delays_ms = [(decided - closed) / 1000 for closed, decided in rows if decided is not None]
    return len(rows), len(delays_ms), delays_ms


def _indeterminate(connection: Connection) -> dict[str, int]:
    reason = verdict_table.c.indeterminate
    rows = connection.execute(
        select(reason, func.count()).where(reason.is_not(None)).group_by(reason).order_by(reason)
    )
    return {row[0]: row[1] for row in rows}


def _quantiles(durations_ms: list[float]) -> Quantiles:
    if not durations_ms:
        return Quantiles(None, None)
    p50, p99 = np.percentile(durations_ms, (50, 99))
    return Quantiles(round(float(p50), 1), round(float(p99), 1))
