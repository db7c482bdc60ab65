"""The words of the page that tells how to connect a device; docs/connect.md says the rest, and is tested."""

from dataclasses import dataclass

TITLE = "Connect a device"
LINK = "How to connect a device"
BROKER = (
    "wristlead run starts a broker at 127.0.0.1:18830, or uses yours with --broker. Put it for HOST:PORT."
)
MORE = "Payloads, limits and what was tried: docs/connect.md. No names of persons in a topic."
MESSAGE = (
    '{"v":1,"sess":"9f3c21d0","seq":0,"i0":0,"t0_us":0,"fs":250,"lead":"I","unit":"uV","y":[-12,3,18,40]}'
)


@dataclass(frozen=True, slots=True)
class Way:
    """One kind of device."""

    heading: str
    liveness: str
    what: str
    commands: tuple[str, ...] = ()


WAYS = (
    Way(
        heading="Anything that speaks MQTT",
        liveness="Live",
        what="Publish 0.25 to 1 s of samples in a message (QoS 1), with the index of the first one. "
        "docs/wire.md has the format; what a device sends already is read by a mapper (docs/mappers.md).",
        commands=(f"mosquitto_pub -h HOST -p PORT -q 1 -t ecg/v1/home/first/chunk -m '{MESSAGE}'",),
    ),
    Way(
        heading="Polar H10 strap",
        liveness="Live",
        what="Wet the electrodes, put it on, close other apps that use it. Gaps are exact; up to three days "
        "wait on disk while the broker is away. Its lead gives heart rate, rhythm and alarms, not the "
        "findings of leads I and II.",
        commands=(
            "pip install 'wristlead[ble]'",
            "wristlead gateway polar --broker HOST:PORT --device home/strap",
        ),
    ),
    Way(
        heading="Galaxy Watch",
        liveness="Live while a finger is on the key",
        what="Needs an app of your own on Samsung's Health Sensor SDK that publishes each callback, and a "
        "mapper of four lines. Simulated watches show whether the rest works:",
        commands=("wristlead simulate --source galaxy --points 5 --broker HOST:PORT",),
    ),
    Way(
        heading="Apple Watch",
        liveness="Finished recordings of 30 s",
        what="It cannot stream. The iOS app Health Auto Export sends its ECGs to an MQTT topic of your "
        "choice; preset health_auto_export reads them. What Health exports as a file is judged at once:",
        commands=("wristlead run --mappers mappers.toml", "wristlead classify export.zip"),
    ),
    Way(
        heading="ESP32 with AD8232",
        liveness="Live",
        what="docs/esp32_ad8232 is a complete Arduino sketch: 250 Hz, exact gaps, two minutes of its own "
        "buffer. Only ever from a battery while electrodes are on somebody.",
    ),
    Way(
        heading="Home Assistant",
        liveness="Nothing to connect",
        what="On the same broker it finds each device by itself, with heart rate, signal, alarm and battery.",
        commands=("wristlead run --broker HOST:PORT --home-assistant true",),
    ),
    Way(
        heading="Nothing yet",
        liveness="Simulated",
        what="Patients with a rhythm of your choice, in a second terminal.",
        commands=("wristlead simulate --patients 4",),
    ),
)
