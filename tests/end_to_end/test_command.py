"""The command as a person meets it: it refuses in one clear sentence, and ends cleanly."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ingest.settings import SettingsError, load_settings
from tests.conftest import find_free_port

ROOT = Path(__file__).parent.parent.parent


def wristlead(*arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wristlead", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)


def assert_refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def test_a_busy_dashboard_port_is_said(busy_port: int, tmp_path: Path) -> None:
    result = wristlead(
        "demo", "--no-browser", "--dashboard-port", str(busy_port), "--data-dir", str(tmp_path)
    )
    assert_refused(result, "dashboard cannot listen", str(busy_port), "--dashboard-port")


def test_a_busy_broker_port_is_said(busy_port: int, tmp_path: Path) -> None:
    result = wristlead(
        "demo",
        "--no-browser",
        "--broker-port",
        str(busy_port),
        "--dashboard-port",
        str(find_free_port()),
        "--data-dir",
        str(tmp_path),
    )
    assert_refused(result, "broker cannot listen", str(busy_port), "--broker-port")


def test_a_wrong_mapper_file_is_said_before_anything_starts(busy_port: int, tmp_path: Path) -> None:
    (tmp_path / "mappers.toml").write_text('[[mapper]]\ntopic = "ECG"\npreset = "adc"\n')
    result = wristlead(
        "run",
        "--no-browser",
        "--broker-port",
        str(busy_port),  # else a run that overlooks the file would not end
        "--data-dir",
        str(tmp_path / "data"),
        "--mappers",
        str(tmp_path / "mappers.toml"),
    )
    assert_refused(result, "mappers.toml: [[mapper]] 1 key preset: want one of adc_text")
    assert "listen" not in result.stderr


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x", "postgres://localhost/x"])
def test_a_store_of_another_kind_is_refused_with_those_there_are(url: str) -> None:
    result = wristlead("ingest", "--store-url", url)
    assert_refused(result, "store_url", "want sqlite:///FILE or postgresql+psycopg://", url)


def test_a_list_of_an_empty_store_says_so(tmp_path: Path) -> None:
    result = wristlead("export", "--list", "--data-dir", str(tmp_path))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "nothing is stored yet\n")


def test_an_invalid_setting_is_named_with_what_was_expected() -> None:
    assert_refused(wristlead("ingest", "--hop-s", "99"), "hop_s", "less than or equal to 10", "99")
    assert_refused(wristlead("ingest", "--broker", "nowhere"), "broker", "host:port")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "No such file"),
        ("broker_port =", "want a TOML file"),
        ("prot = 1", "prot: unknown setting, want one"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_and_never_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, expected: str
) -> None:
    path = tmp_path / "wristlead.toml"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("WRISTLEAD_CONFIG", str(path))
    with pytest.raises(SettingsError, match=expected):
        load_settings()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = wristlead("demo", "--no-browser", "--data-dir", str(tmp_path / "file" / "data"))
    assert_refused(result, "Cannot write to", "--data-dir")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root"
)
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine cannot mount a small disk")
    try:
        assert_refused(wristlead("demo", "--no-browser", "--data-dir", str(disk)), "Free some space")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.broker
def test_missing_weights_stop_everything_with_one_sentence(tmp_path: Path) -> None:
    result = wristlead(
        "demo",
        "--no-browser",
        "--weights-dir",
        str(tmp_path / "nothing"),
        "--broker-port",
        str(find_free_port()),
        "--dashboard-port",
        str(find_free_port()),
        "--data-dir",
        str(tmp_path / "data"),
    )
    assert_refused(result, str(tmp_path / "nothing"), "inference cannot work here")
    assert not left_over(tmp_path)


def test_a_service_without_a_broker_says_so(tmp_path: Path) -> None:
    address = f"127.0.0.1:{find_free_port()}"
    result = wristlead("ingest", "--broker", address, "--data-dir", str(tmp_path))
    assert_refused(result, "no MQTT broker answers", address)


def left_over(folder: Path) -> list[str]:
    """Processes that still hold a file in `folder` as their setting or argument."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        known = [*(process.info["cmdline"] or []), *(process.info["environ"] or {}).values()]
        if process.pid != os.getpid() and any(str(folder) in word for word in known):
            found.append(" ".join(process.info["cmdline"] or []))
    return found
