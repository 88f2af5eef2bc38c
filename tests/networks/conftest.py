"""Small random weights of the right layouts, and a cache folder of their own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from emodask import networks
from emodask.networks import cache
from emodask.networks.layouts import Layout


@pytest.fixture(autouse=True)
def _installed() -> None:
    """Skip where PyTorch is absent; fail in CI."""
    if not networks.installed():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(networks.ABSENT)


@pytest.fixture(autouse=True)
def weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, for this process and those that it starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_known", {})
    return cache.folder()


def random_part(layout: Layout, seed: int = 0) -> dict[str, np.ndarray]:
    """Numbers that keep maps at their size from layer to layer."""
    rng = np.random.default_rng(seed)
    return {
        name: (rng.normal(size=shape) * np.sqrt(2 / max(1, np.prod(shape[1:])))).astype(np.float32)
        if len(shape) > 1
        else np.full(shape, 0.01, np.float32)
        for name, shape in layout.shapes.items()
    }


TINY = Layout(
    "a tiny network",
    {"features.0.weight": (2, 3), "features.0.bias": (2,)},
    {"Oxford's": {"features.0.weight": "conv1.weight", "features.0.bias": "conv1.bias"}},
    "Such weights come from nowhere",
)
"""Of no network: what is read, checked and kept does not depend on how large it is."""
