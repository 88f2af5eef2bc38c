"""Numbers that another program has measured: chosen columns of a table, one row a clip."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from emodask.features import Family, FamilySettings

Text = Annotated[str, Field(min_length=1)]


class Settings(FamilySettings):
    """Keys of a job's ``[features.NAME]`` table with ``kind = "table"``.

    Attributes
    ----------
    path : str, optional
        A CSV or Parquet file, by path or URL; a path is relative to the job file. ``--table
        NAME=PLACE`` fills or overrides it. It is never stored: the same numbers from another place
        are the same job.
    key : str
        The column with names of clips.
    columns : sequence of str
        Patterns such as ``AU*``. None given: all columns that hold numbers, without those that
        are named as a label of the store is (``emotion``, ``actor``).
    dim : str
        Name of the dimension of the columns; ``NAME_column`` unless a job says otherwise.
    names : sequence of str
        The columns that the patterns chose. They and `content` are filled in from the table; a
        job file needs neither.
    content : str
        A digest of the numbers of the job's clips.

    Examples
    --------
    >>> Settings(columns=["AU*"]).key
    'clip'
    """

    path: Text | None = Field(default=None, exclude=True, repr=False)
    key: Text = "clip"
    columns: tuple[Text, ...] = ()
    dim: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,79}$")] = "column"
    names: tuple[Text, ...] = ()
    content: str = ""


def _compute(
    row: npt.NDArray[np.float32], settings: Settings, seed: int
) -> npt.NDArray[np.float32]:
    return row


FAMILY = Family(
    modality="table",
    settings=Settings,
    dims=lambda settings: {settings.dim: len(settings.names)},
    decode=lambda settings: {},
    compute=_compute,
    memory=lambda settings, count: 0,
    coords=lambda settings: {settings.dim: settings.names},
    alike=False,  # a frequency in Hz may stand beside a share
)
