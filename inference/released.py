"""Where the released weights are, for whoever reads their card without the model."""

from pathlib import Path

CARD_NAME = "card.json"
CARD_TEXT_NAME = "card.md"
MODEL_NAME = "model.onnx"
RHYTHM_CARD_NAME = "rhythm.json"
RELEASED_WEIGHTS = Path(__file__).parent / "weights"
