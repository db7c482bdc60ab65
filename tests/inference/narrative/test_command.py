"""`wristlead narrate` says the newest stored verdict, and shows what would be sent."""

import json
import re
import shlex
from pathlib import Path

import pytest

import wristlead
from inference.narrative.command import narrate_newest
from inference.records import newest_verdict, save_verdicts
from inference.verdict import Presence, Verdict
from ingest.settings import load_settings
from ingest.store.schema import open_store
from tests.inference.narrative.wards import findings

P, A = Presence.PRESENT, Presence.ABSENT
PAGE = Path(__file__).parents[3] / "docs" / "narrative.md"
COMMANDS = re.findall(r"^wristlead .*$", PAGE.read_text("utf-8"), re.MULTILINE)


def verdict(first_sample: int, presences: tuple[Presence, ...], decided_us: int) -> Verdict:
    device = "sim/patient-001"
    return Verdict(
        device, 1, first_sample, 0, "m", decided_us, historic=False, findings=findings(presences), lead="I"
    )


def test_the_newest_verdict_is_told_and_the_commands_of_the_page_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WRISTLEAD_DATA_DIR", str(tmp_path))
    settings = load_settings()
    engine = open_store(settings.store_address)
    with pytest.raises(SystemExit, match="no verdict of sim/patient-001 is stored"):
        narrate_newest(settings, "sim/patient-001", show_prompt=False)
    save_verdicts(engine, [verdict(0, (A, P, A, A, A), 1_000), verdict(5000, (P, A, A, A, A), 2_000)])
    newest = newest_verdict(engine, "sim/patient-001")
    assert newest is not None
    assert newest.first_sample == 5000
    plain, prompt = COMMANDS
    assert wristlead.main(shlex.split(plain)[1:]) == 0
    told = capsys.readouterr().out
    assert "looks normal to the model" in told
    assert "heart rate is not known" in told
    assert wristlead.main(shlex.split(prompt)[1:]) == 0
    sent = capsys.readouterr().out
    assert "patient-001" not in sent
    assert {"read", "norm-present"} <= {each["key"] for each in json.loads(sent[sent.index("[{") :])}
    engine.dispose()
