"""Reductions fitted from chunks: scaling by one mean and deviation, partial Tucker, and both."""

from __future__ import annotations

from emodask.reduction.partial_tucker import PartialTucker
from emodask.reduction.scaling import ScalarScaler
from emodask.reduction.tensor_reducer import TensorReducer

__all__ = ["PartialTucker", "ScalarScaler", "TensorReducer"]
