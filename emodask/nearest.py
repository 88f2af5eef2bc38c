"""What an unknown name was probably meant to be: an end for messages that refuse it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def meant(name: str, known: Iterable[str]) -> str:
    """A question about the nearest of the known names; empty if none is near.

    Examples
    --------
    >>> meant("n_estimator", ["n_estimators", "max_depth"]), meant("votes", ["svc", "mlp"])
    ("; did you mean 'n_estimators'?", '')
    """
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
