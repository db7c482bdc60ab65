"""The rules that keep the house in order: import arrows, no torch where it costs, ceilings, suppressions."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("ingest", "inference", "dashboard", "simulators")
ALLOWED = {
    "ingest": {"ingest"},
    "inference": {"inference", "ingest"},
    "dashboard": {"dashboard", "inference", "ingest"},
    "simulators": {"simulators", "ingest"},
}
# A simulated device knows what a real one knows: the wire, and where the broker is.
DEVICE_KNOWS = {
    "ingest.chunk",
    "ingest.metrics",
    "ingest.metrics_port",
    "ingest.publisher",
    "ingest.settings",
    "ingest.topics",
    "ingest.wire",
}
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "types", "misc"}
MAX_LINES = 400
MAX_FUNCTION_LINES = 60
MODULES_PER_SUPPRESSION = 5  # at most one suppression for so many of our modules
WITHOUT_TORCH = (
    "ingest.service",
    "dashboard.service",
    "inference.service",
    "inference.alarms.service",
    "inference.explain.service",
    "inference.notify.service",
    "inference.recordings.command",
)


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_up_the_house_only(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for name in imports_of(path):
        top = name.split(".")[0]
        if top in PACKAGES:
            assert top in ALLOWED[package], f"{path.name} imports {name}"
            if package == "simulators" and top == "ingest":
                assert name in DEVICE_KNOWS, f"{path.name} imports {name}: a device cannot know that"
        assert top != "wristlead", f"{path.name} imports the command"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    assert path.stem not in FORBIDDEN_NAMES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or node.lineno) - node.lineno < MAX_FUNCTION_LINES, node.name


def test_services_load_no_torch() -> None:
    loads = [f"import {module}; assert 'torch' not in sys.modules, '{module}'" for module in WITHOUT_TORCH]
    subprocess.run([sys.executable, "-c", "\n".join(["import sys", *loads])], cwd=ROOT, check=True)


def test_suppressions_are_few_and_name_their_code() -> None:
    marks = [
        (path, line)
        for path in sources()
        for line in path.read_text().splitlines()
        if "noqa" in line or "type: ignore" in line
    ]
    for path, line in marks:
        assert re.search(r"noqa: [A-Z]+\d+|type: ignore\[[a-z-]+", line), f"{path.name}: {line.strip()}"
    assert len(marks) <= len(sources()) / MODULES_PER_SUPPRESSION


def test_swallowing_every_error_is_not_possible() -> None:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and all(isinstance(b, ast.Pass) for b in node.body):
                assert node.type is not None, f"{path}:{node.lineno}"
                assert getattr(node.type, "id", "") not in {"Exception", "BaseException"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sources()}
    imported = {name: {each for each in imports_of(path) if each in names} for name, path in names.items()}
    while leaves := [name for name, needs in imported.items() if not needs]:
        for name in leaves:
            del imported[name]
        for needs in imported.values():
            needs.difference_update(leaves)
    assert not imported, f"these stand in circles, or need what does: {sorted(imported)}"
