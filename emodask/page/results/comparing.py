"""Two systems side by side: what can be chosen, and what comes of a choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emodask.errors import EmodaskError
from emodask.evaluation.compare import COMMON_HINT, Comparison, compare
from emodask.evaluation.outcome import HONEST
from emodask.evaluation.run_files import PREDICTIONS
from emodask.page.results.folders import address_of
from emodask.page.results.runs import Run
from emodask.scrubbing import without_folders

MOST_BYTES = 16 << 20
"""Of a run's predictions: comparing takes some twenty times as much memory."""


@dataclass(frozen=True)
class Choice:
    """What a visitor chose.

    Attributes
    ----------
    a, b : str
        ``RUN/MODEL``, the run as it is called in addresses.
    protocol : str
    common : bool
        Compare on the clips that both have.
    """

    a: str = ""
    b: str = ""
    protocol: str = ""
    common: bool = False

    @property
    def made(self) -> bool:
        """Whether there is something to compare."""
        return bool(self.a and self.b and self.protocol)


@dataclass(frozen=True)
class Compared:
    """What came of a choice.

    Attributes
    ----------
    comparison : Comparison or None
    trouble : str
        Why there is none.
    differ : bool
        Whether that is because the two were tested on other clips, and ``common`` would help.
    """

    comparison: Comparison | None = None
    trouble: str = ""
    differ: bool = False


def models_of(run: Run) -> list[str]:
    """The models that a run evaluated, each once."""
    if run.summary is None:
        return []
    return list(dict.fromkeys(model for _, model in run.summary.systems))


def protocols_of(runs: Sequence[Run]) -> list[str]:
    """The protocols that any of the runs ran, the honest one first."""
    found = dict.fromkeys(
        protocol for run in runs if run.summary for protocol, _ in run.summary.systems
    )
    return sorted(found, key=lambda name: name != HONEST)


def compared(choice: Choice, runs: Sequence[Run]) -> Compared:
    """Compare what was chosen. It never raises: what is wrong is said."""
    known = {run.slug: run for run in runs}
    chosen = []
    for which in (choice.a, choice.b):
        slug, _, model = which.partition("/")
        run = known.get(slug)
        if run is None or model not in models_of(run):
            return Compared(trouble="One of the two is not there any more; choose again.")
        stamp = run.stamps.get(PREDICTIONS)
        if stamp is None:
            return Compared(trouble=f"{run.name}: there is no {PREDICTIONS} to compare.")
        if stamp.size > MOST_BYTES:
            return Compared(
                trouble=f"{run.name}: its {PREDICTIONS} has {stamp.size / 1e6:.0f} MB, too much "
                "for this page; emodask compare reads it."
            )
        chosen.append((run, model))
    (run_a, model_a), (run_b, model_b) = chosen
    try:
        found = compare(
            address_of(run_a.report),
            address_of(run_b.report),
            protocol=choice.protocol,
            model=f"{model_a}:{model_b}",
            common=choice.common,
            storage_options=run_a.options,
        )
    except EmodaskError as error:
        text = without_folders(str(error))
        differ = text.endswith(COMMON_HINT)
        text = text.removesuffix(COMMON_HINT).rstrip("; ")
        return Compared(trouble=f"{text[:1].upper()}{text[1:]}.", differ=differ)
    return Compared(found)
