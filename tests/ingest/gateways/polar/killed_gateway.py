"""A gateway as a process of its own, on a SIMULATED strap that goes on whether or not anybody listens.

Arguments: settings' data_dir and broker port, a log of frames, when the strap began (Unix s), its speed.
"""

import sys
import time
from pathlib import Path

from ingest.gateways.polar import gateway as gateway_module
from ingest.gateways.polar.command import serve
from ingest.settings import load_settings
from tests.ingest.gateways.polar.simulated_strap import N, SimulatedStrap

FRAMES = 1_000_000


class EndlessStrap(SimulatedStrap):
    """Its frame is told by our clock, so that a process that starts again finds it further on."""

    def __init__(self, began_s: float, speed: float, log: Path) -> None:
        super().__init__(pace_s=N / 129.37 / speed, end=FRAMES)
        self.began_s, self.speed = began_s, speed
        self.log = log.open("ab", buffering=0)
        self.on_frame = lambda frame: self.write("heard", frame)
        self.frame = int((time.time() - began_s) * speed * self.fs / N) + 1
        self.write("starts", self.frame)

    def write(self, what: str, frame: int) -> None:
        self.log.write(f"{what} {frame}\n".encode())


if __name__ == "__main__":
    data_dir, port, log, began_s, speed = sys.argv[1:]
    strap = EndlessStrap(float(began_s), float(speed), Path(log))
    settings = load_settings(data_dir=Path(data_dir), broker_port=int(port))
    original = gateway_module.Gateway.__init__

    def on_its_time(self: gateway_module.Gateway, *args: object, **options: object) -> None:
        original(self, *args, **options, wall_us=lambda: strap.now_us)  # type: ignore[arg-type]

    gateway_module.Gateway.__init__ = on_its_time  # type: ignore[method-assign]
    serve(settings, strap, device="home/strap", strap=None)
