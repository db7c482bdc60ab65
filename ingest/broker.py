"""Settings -> the MQTT broker that is started here: Mosquitto where it is installed, else embedded amqtt."""

import logging
import os
import resource
import shutil
import socket
import sys
from pathlib import Path

from ingest.settings import Settings

# Debian puts it beside the administrators' commands, Homebrew outside the PATH of services.
MOSQUITTO_FOLDERS = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin:/usr/local/opt/mosquitto/sbin"
MAX_INFLIGHT = 20_000  # per client; message ids have 16 bits, so unlimited would reuse them after 65,535
MAX_QUEUED = 1_000_000  # per client: 5,000 watches at a chunk a second, ingest away for 3 minutes
MAX_QUEUED_BYTES = 1 << 30
MAX_PACKET_BYTES = (64 << 20) + (64 << 10)  # the largest export that is mapped, with its topic and header
MAX_CONNECTIONS = 16_384  # three times the largest fleet in the benchmarks; a file each

logger = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Be the broker until SIGTERM; Mosquitto takes over this process, so that a signal reaches it itself."""
    require_free_port(*settings.broker_address, "broker")
    if mosquitto_path(settings) is None:
        from ingest.embedded_broker import serve  # noqa: PLC0415 - 0.6 s that Mosquitto's users need not wait

        serve(*settings.broker_address)
        return
    command = broker_command(settings)
    os.execv(command[0], command)  # noqa: S606 - our own command


def broker_command(settings: Settings) -> list[str]:
    """The command whose process is the broker; writes Mosquitto's configuration into the data folder."""
    mosquitto = mosquitto_path(settings)
    if mosquitto is None:
        return [sys.executable, "-m", "wristlead", "broker"]
    folder = (settings.data_dir / "broker").resolve()
    config = folder / "mosquitto.conf"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(mosquitto_config(settings.broker_address, folder))
    except OSError as error:
        raise SystemExit(
            f"cannot write the broker's configuration to {config}: {error.strerror}; "
            "free some space there, or set --data-dir to another folder"
        ) from None
    allow_connections(MAX_CONNECTIONS)
    return [mosquitto, "-c", str(config)]


def allow_connections(n_wanted: int) -> int:
    """Raise this process's limit of open files, which the broker inherits, as far as may be; returns it.

    Mosquitto needs one for each connection, takes the soft limit as it is (often 1,024, on macOS 256), and
    refuses every watch above it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= n_wanted:
        return n_wanted
    allowed = n_wanted if hard == resource.RLIM_INFINITY else min(n_wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (ValueError, OSError):  # macOS allows less than its hard limit says
        allowed = soft
    if allowed < n_wanted:
        logger.warning("the broker can hold about %d connections here; raise `ulimit -n` for more", allowed)
    return allowed


def describe(settings: Settings) -> str:
    """One line for people: which broker, where, and what it can carry (docs/decisions.md has the figures)."""
    host, port = settings.broker_address
    if settings.broker is not None:
        return f"Broker: yours at {host}:{port}; none is started here."
    if mosquitto_path(settings) is not None:
        return (
            f"Broker: Mosquitto at {host}:{port}; carries about 10,000 messages/s, "
            "keeps what is queued when a service or itself is restarted."
        )
    return (
        f"Broker: embedded amqtt at {host}:{port}, for a demo only: carries about 500 messages/s, "
        "MQTT 3.1.1, keeps nothing when it is itself restarted. Install Mosquitto for more."
    )


def require_free_port(host: str, port: int, what: str) -> None:
    """Raises SystemExit with one sentence when something already listens at host:port, or nothing may."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is free
            probe.bind((host, port))
    except OSError as error:
        raise SystemExit(
            f"the {what} cannot listen on {host}:{port} ({error.strerror or error}): "
            f"stop what uses that port, or set --{what}-port"
        ) from None


def mosquitto_path(settings: Settings) -> str | None:
    """Mosquitto's program; None when amqtt is wanted, or Mosquitto is not installed and was not demanded.

    Raises SystemExit when Mosquitto was demanded and is not installed.
    """
    if settings.broker_kind == "amqtt":
        return None
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=MOSQUITTO_FOLDERS)
    if found is None and settings.broker_kind == "mosquitto":
        raise SystemExit("mosquitto is not installed: install it, or leave --broker-kind at auto for amqtt")
    return found


def mosquitto_config(address: tuple[str, int], folder: Path) -> str:
    """Mosquitto's configuration for this load: nothing acknowledged is dropped, little is lost on a kill.

    `autosave_on_changes` would save after every turn of its loop: 99.9 % kept instead of the last 1-2 s,
    but at 350-470 messages/s instead of thousands; and with ingest up nothing is lost either way, because
    a message is handed to ingest's socket before it is acknowledged to the device (docs/decisions.md).
    """
    host, port = address
    lines = [
        f"listener {port} {host}",
        "allow_anonymous true",
        "persistence true",
        f"persistence_location {folder}{os.sep}",
        "autosave_interval 1",
        f"max_inflight_messages {MAX_INFLIGHT}",
        f"max_queued_messages {MAX_QUEUED}",
        f"max_queued_bytes {MAX_QUEUED_BYTES}",
        f"max_packet_size {MAX_PACKET_BYTES}",
        "persistent_client_expiration 7d",
        "set_tcp_nodelay true",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # else it drops to its own user, who may not write the data folder
    return "\n".join(lines) + "\n"
