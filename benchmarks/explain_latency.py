"""From an alarm of the model coming on to its stored and published Grad-CAM, in the real services.

    python -m benchmarks.explain_latency --seconds 90 --shap 5 --json

`wristlead run` and simulated patients with atrial fibrillation and infarction on this machine; with
`--shap N` each verdict is followed by up to N requests for GradientShap of its window, so that these wait
when alarms come.
Times are by the wall clock, from `at_us` of the alarm's transition in the store to the arrival of the
explanation, which is published once it is stored: `first` of an alarm's windows, and `all` of them.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil

from benchmarks.soak import services
from inference.explain.explanation import Explanation, ExplanationKey, ExplanationMethod
from inference.explain.records import raised_answers, windows_behind
from inference.explain.request import ExplainRequest
from inference.verdict import Superclass, Verdict
from ingest.link import MqttLink
from ingest.store.schema import open_store
from ingest.topics import EXPLANATIONS, VERDICTS, explain_topic

GROUPS = [*["replay:AF"] * 2, *["replay:MI"] * 2]  # of two patients each
APART_S = 2.5  # groups start so far apart: windows of patients who start together close together
BROKER_PORT, DASHBOARD_PORT = 18871, 18872
START_S = 60.0  # longest wait for the broker
DRAIN_S = 5.0  # after the last patient, for explanations on their way
MOST_ALARMS = 10_000

Arrivals = dict[ExplanationKey, int]  # wall clock, us


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=90.0, help="of patients (default: 90)")
    parser.add_argument("--shap", type=int, default=0, help="requests behind each verdict, 0 to 5")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.seconds, options.shap)
    print(json.dumps(figures, indent=None if options.json else 2))


def measure(folder: Path, seconds: float, shap: int) -> dict[str, Any]:
    """Run services and patients, listen, and compare arrivals with the alarms in the store."""
    with started(["run", "--no-browser", "--data-dir", str(folder), *_ports()]) as run:
        link = _connected()
        with ExitStack() as patients:
            for number, rhythm in enumerate(GROUPS):
                who = ["simulate", "--rhythm", rhythm, "--patients", "2", "--site", f"group{number}"]
                ends = ["--seconds", str(seconds), "--broker", f"127.0.0.1:{BROKER_PORT}"]
                patients.enter_context(started([*who, *ends]))
                time.sleep(APART_S)
            arrived = listen(link, seconds + DRAIN_S, shap)
        explain = services(psutil.Process(run.pid)).get("explain")
        cpu_s = None if explain is None else sum(explain.cpu_times()[:2])
        link.close()
    made = [method for *_, method in arrived]
    return {
        "load": round(psutil.getloadavg()[0], 1),
        "shap_requests_behind_each_verdict": shap,
        "shap_made": made.count(ExplanationMethod.GRADIENT_SHAP),
        "explain_cpu_s": cpu_s,
        **latencies(folder, arrived),
    }


def latencies(folder: Path, arrived: Arrivals) -> dict[str, Any]:
    """Seconds from each alarm to the first and to the last of its explanations."""
    engine = open_store(f"sqlite:///{folder / 'wristlead.sqlite'}")
    first_s, last_s, lacking = [], [], 0
    alarms, _ = raised_answers(engine, 0, MOST_ALARMS)
    for alarm in alarms:
        keys = [
            (*place, alarm.answer, ExplanationMethod.GRAD_CAM) for place, _ in windows_behind(engine, alarm)
        ]
        after_s = [(arrived[key] - alarm.at_us) / 1e6 for key in keys if key in arrived]
        if len(after_s) < len(keys) or not keys:
            lacking += 1
        else:
            first_s.append(min(after_s))
            last_s.append(max(after_s))
    engine.dispose()
    return {
        "alarms": len(alarms),
        "of_atrial_fibrillation": sum(not isinstance(each.answer, Superclass) for each in alarms),
        "alarms_lacking_an_explanation": lacking,
        "first_s": _summary(first_s),
        "all_s": _summary(last_s),
    }


def listen(link: MqttLink, seconds: float, shap: int) -> Arrivals:
    """When each explanation came; and ask for others behind each verdict."""
    arrived: Arrivals = {}
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        for message in link.poll(0.05):
            if "/explanation/" in message.topic:
                explanation = msgspec.json.decode(message.payload, type=Explanation)
                arrived.setdefault(explanation.key, time.time_ns() // 1000)
            elif shap:
                _ask(link, msgspec.json.decode(message.payload, type=Verdict), shap)
    return arrived


def _ask(link: MqttLink, verdict: Verdict, shap: int) -> None:
    for finding in verdict.findings[:shap]:
        request = ExplainRequest(verdict.session, verdict.first_sample, finding.superclass)
        link.publish(explain_topic(verdict.device), msgspec.json.encode(request))


def _connected() -> MqttLink:
    link = MqttLink(("127.0.0.1", BROKER_PORT), "explain-latency")
    link.subscribe(EXPLANATIONS)
    link.subscribe(VERDICTS)
    link.connect(START_S)
    return link


def _ports() -> list[str]:
    return ["--broker-port", str(BROKER_PORT), "--dashboard-port", str(DASHBOARD_PORT)]


@contextmanager
def started(arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A `wristlead` command while it is needed."""
    with subprocess.Popen([sys.executable, "-m", "wristlead", *arguments], stdout=subprocess.DEVNULL) as one:
        try:
            yield one
        finally:
            one.terminate()
            one.wait(60)


def _summary(values_s: Sequence[float]) -> dict[str, float] | None:
    if not values_s:
        return None
    return {"p50": round(statistics.median(values_s), 3), "max": round(max(values_s), 3)}


if __name__ == "__main__":
    main()
