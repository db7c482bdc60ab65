"""The loopback port on which a service answers with its metrics and health."""

from ingest.metrics import Observe

PORT_OFFSETS = {
    "ingest": 0,
    "inference": 1,
    "alarms": 2,
    "explain": 3,
    "dashboard": 4,
    "simulate": 5,
    "notify": 6,
}


def serve_metrics(service: str, base_port: int | None) -> Observe | None:
    """Answer `/metrics`, `/health/live` and `/health/ready` on a loopback port of the service's own.

    Returns what is to be told each heartbeat; None when `base_port` is none or 0, or when the port is taken,
    which is a warning and no reason to end.
    """
    if not base_port:
        return None
    from ingest.exporter import serve  # noqa: PLC0415 - prometheus-client only where it is wanted

    return serve(service, base_port + PORT_OFFSETS[service])
