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
    layers = [m for name, m in weak.named_modules() if isinstance(m, kinds) and "lead_head" not in name]
    for n, layer in enumerate(reversed(layers)):
        layer.reset_parameters()
        if n in {0, len(layers) // 2, len(layers) - 1}:
            yield weak
