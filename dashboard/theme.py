"""The look's tokens, once: as CSS variables and as the Mantine theme.

Contrast of text and trace against its ground is tested (WCAG AA: 4.5:1 for text, 3:1 for the trace).
"""

from typing import Any

ALARMS = {
    "high": "#ff453a",
    "medium": "#ffd60a",
    "low": "#40c8e0",
    "advisory": "#b79cff",
    "on-alarm": "#0b0f14",
}
DARK = {
    "page": "#0b0f14",
    "panel": "#121a22",
    "line": "#22303c",
    "text": "#e6edf3",
    "dim": "#8b9bab",
    "trace": "#3ddc97",
    "high-text": "#ff6961",
    "medium-text": "#ffd60a",
    "low-text": "#40c8e0",
    "advisory-text": "#b79cff",
    "paper": "#121a22",
    "grid-minor": "#19242e",
    "grid-major": "#263542",
    "stale": "#5d6b78",
    # For and against in explanations: colour-blind safe, and none of the alarms' colours.
    "for": "#6f9ee8",
    "against": "#d08a45",
    # A recurrence plot: lower, the same, higher.
    "plot-low": "#05080b",
    "plot-same": "#3a4652",
    "plot-high": "#d5dde5",
}
LIGHT = {
    "page": "#f6f7f9",
    "panel": "#ffffff",
    "line": "#d9dfe5",
    "text": "#14202b",
    "dim": "#5b6b7a",
    "trace": "#101418",
    "high-text": "#c4160c",
    "medium-text": "#7d5800",
    "low-text": "#0b6f85",
    "advisory-text": "#6a45c9",
    "paper": "#fff6f4",
    "grid-minor": "#f6cfc9",
    "grid-major": "#e9a39a",
    "stale": "#8b949c",
    "for": "#2f5fa8",
    "against": "#9a5a1c",
    "plot-low": "#39434d",
    "plot-same": "#c2c9d0",
    "plot-high": "#ffffff",
}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def css_variables() -> str:
    """`:root` rules with one variable a token; dark unless the page says light."""
    return "\n".join(
        f"{selector} {{ color-scheme: {scheme}; "
        f"{' '.join(f'--{name}: {value};' for name, value in (ALARMS | tokens).items())} }}"
        for selector, scheme, tokens in (
            (":root", "dark", DARK),
            (":root[data-theme='light']", "light", LIGHT),
        )
    )


def mantine_theme() -> dict[str, Any]:
    """Mantine's theme: our font and radius; its colours are taken from the variables in base.css."""
    return {"fontFamily": FONT, "defaultRadius": "8px", "primaryColor": "gray"}


def contrast(foreground: str, background: str) -> float:
    """WCAG 2 contrast ratio of two `#rrggbb` colours, 1 to 21."""
    lighter, darker = sorted((_luminance(foreground), _luminance(background)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    linear = [_linear(int(colour[place : place + 2], 16) / 255) for place in (1, 3, 5)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.03928 else float(((channel + 0.055) / 1.055) ** 2.4)
