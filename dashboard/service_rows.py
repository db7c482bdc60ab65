"""Heartbeats -> the rows of the table of services; pure. "Not running" and "never heard" are told apart."""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.heartbeats import Beat, Service
from dashboard.house import EXPECTED_SERVICES, MISSING_AFTER_S
from dashboard.texts import UNKNOWN
from dashboard.texts import devices as words
from ingest import topics
from ingest.store.schema import STORE_OK

OPTIONAL_SERVICES = ("explain", "notify")  # the house is whole without them
OWN_SERVICE = "dashboard"
BROKER = "broker"


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service, or the broker. Times are Unix microseconds; None is what nobody told."""

    name: str
    state: str  # "well", "trouble", "silent", "gone" or "never"
    is_optional: bool = False
    heard_us: int | None = None  # its newest heartbeat
    since_us: int | None = None  # since when it is gone, or since when we listen in vain
    trouble: str | None = None  # of its store
    version: str | None = None
    started_us: int | None = None
    cpu_share: float | None = None  # of one core
    memory_bytes: int | None = None
    facts: tuple[str, ...] = ()
    model: str | None = None  # version of the weights in use


def service_rows(services: Mapping[str, Service], started_us: int, now_us: int) -> list[ServiceRow]:
    """Those that must be there first, then those that may, then whatever else was heard."""
    known = (*EXPECTED_SERVICES, OWN_SERVICE, *OPTIONAL_SERVICES)
    others = sorted(set(services) - set(known))
    return [_row(name, services.get(name), started_us, now_us) for name in (*known, *others)]


def broker_row(broker: tuple[bool, int], told: Mapping[str, str]) -> ServiceRow:
    """The broker: whether this server is connected to it, and what it tells of itself."""
    is_connected, since_us = broker
    if not is_connected:
        return ServiceRow(BROKER, "gone", since_us=since_us)
    clients, per_min = _number(told.get(topics.BROKER_CLIENTS)), _number(told.get(topics.BROKER_RATE))
    facts = (
        *(() if clients is None else (words.BROKER_CLIENTS.format(n=_told(clients)),)),
        *(() if per_min is None else (words.BROKER_RATE.format(n=_told(per_min / 60)),)),
    )
    version = told.get(topics.BROKER_VERSION) or None
    return ServiceRow(BROKER, "well", since_us=since_us, version=version, facts=facts)


def _row(name: str, service: Service | None, started_us: int, now_us: int) -> ServiceRow:
    is_optional = name not in (*EXPECTED_SERVICES, OWN_SERVICE)
    if service is None or service.heard_us is None:
        if service is not None and service.offline_us is not None:
            return ServiceRow(name, "gone", is_optional)  # before we listened: nobody knows when
        return ServiceRow(name, "never", is_optional, since_us=started_us)
    beat = service.newest
    if service.offline_us is not None:
        return ServiceRow(name, "gone", is_optional, service.heard_us, service.offline_us)
    if now_us - service.heard_us > MISSING_AFTER_S * 1e6:
        return ServiceRow(name, "silent", is_optional, service.heard_us, service.heard_us)
    if beat is None:
        return ServiceRow(name, "well", is_optional, service.heard_us)
    store = beat.words.get("store", STORE_OK)
    return ServiceRow(
        name,
        "well" if store == STORE_OK else "trouble",
        is_optional,
        service.heard_us,
        trouble=None if store == STORE_OK else store,
        version=beat.version,
        started_us=beat.started_us,
        cpu_share=service.cpu_share(),
        memory_bytes=beat.memory_bytes,
        facts=tuple(_facts(service, beat)),
        model=beat.words.get("model"),
    )


def _facts(service: Service, beat: Beat) -> list[str]:
    facts = []
    for counter, how, template in words.FACTS.get(service.name, ()):
        value = service.per_s(counter) if how == "per_s" else beat.counters.get(counter)
        if how == "gigabytes" and value is not None:
            value = value / 1000
        if value is None and how != "if_any":
            facts.append(template.format(n=UNKNOWN))
        elif value is not None and (value or how != "if_any"):
            facts.append(template.format(n=_told(value)))
    if "model" in beat.words:
        facts.append(words.MODEL_FACT.format(model=beat.words["model"]))
    return facts


def _told(value: float) -> str:
    """12,345 or 35.9 or .4: as many digits as can be read at a glance."""
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.1f}"


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if 0 <= value < 1e15 else None
