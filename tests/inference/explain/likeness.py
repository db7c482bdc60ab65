"""How alike maps are, and networks that forget their weights."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

Net = TypeVar("Net", bound=torch.nn.Module)


def likeness(
    before: Sequence[NDArray[np.float32]], after: Sequence[NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Spearman's rank correlation of each pair; 0 where a map says nothing."""
    pairs = [(rankdata(a), rankdata(b)) for a, b in zip(before, after, strict=True)]
    is_empty = [a.std() == 0 or b.std() == 0 for a, b in pairs]
    found = [0.0 if e else np.corrcoef(*pair)[0, 1] for e, pair in zip(is_empty, pairs, strict=True)]
    return np.array(found)


def weakened(net: Net, seed: int) -> Iterator[Net]:
    """The network with ever more layers forgotten, from the answer down to the plot (Adebayo et al. 2018)."""
    torch.manual_seed(seed)
    weak = deepcopy(net)
    kinds = torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Linear
    layers = {name: m for name, m in weak.named_modules() if isinstance(m, kinds) and "lead_head" not in name}
    heads = [name for name in layers if name.endswith("head")]  # one for each plot: the answer is their mean
    order = [*heads, *(name for name in reversed(layers) if name not in heads)]
    for n, name in enumerate(order, 1):
        layers[name].reset_parameters()
        if n in {len(heads), (len(heads) + len(order)) // 2, len(order)}:
            yield weak
