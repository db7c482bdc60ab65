"""How recordings are dealt to the networks of cross-validation, for training and for judging alike."""

from collections.abc import Iterable

FOLDS = 4
SEEN_MOTION = 0.55  # share of the recorded electrode motion that they train with; the rest is for judging


def fold_of(names: Iterable[str]) -> dict[str, int]:
    """The fold that leaves each recording out, by its name."""
    return {name: k % FOLDS for k, name in enumerate(sorted(set(names)))}
