"""Settings of features that a network computes: whose weights, and on which pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, InstanceOf

from emodask.features import FamilySettings
from emodask.features.faces.cropping import FaceCrop
from emodask.networks.layouts import Layout
from emodask.sources.location import Location


class WeightedSettings(FamilySettings):
    """Base of the settings of families whose network's weights are named in a job.

    Attributes
    ----------
    weights : str
        A safetensors or PyTorch file, by path or URL; a path is relative to the job file.
        ``--weights NAME=PLACE`` fills or overrides it. It is never stored: the same numbers from
        another place are the same job.
    checksum : str, optional
        ``sha256:`` and the file's SHA-256, if it is to be checked. Not stored either.
    content : str
        A digest of the numbers that are used. It is filled in from the file; a job file needs none.
    FILLED : tuple of str
        Keys that are filled in from where the weights lie.
    """

    FILLED: ClassVar[tuple[str, ...]] = ("content",)

    weights: Annotated[str, Field(min_length=1)] | InstanceOf[Location] | None = Field(
        default=None, exclude=True, repr=False
    )
    checksum: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = Field(
        default=None, exclude=True, repr=False
    )
    content: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """The tensors that the network's weights must have."""

    def completed(self, place: Location) -> Mapping[str, Any]:
        """What else to fill in from where the weights lie, before they are read."""
        return {}

    def file(self, place: Location) -> Location:
        """The file with the numbers: the place itself, unless a family's weights are folders."""
        return place


class FrameSettings(FaceCrop, WeightedSettings):
    """Base of the settings of families that show a network frames of a clip, or the face in them.

    Attributes
    ----------
    frames : int
        How many frames of a clip.
    every : int
        Video frames from one to the next, beginning with the first; a clip that ends before has its
        last one again. 0 spreads them evenly over the clip, each from the middle of its share:
        ``frames = 1`` is the frame in the middle.
    gray : "rgb" or "luma"
        As of HOG3D.
    output : "maps" or "mean"
        The network's maps as they are, which are large and read by networks alone; or the mean of
        each map, which any model reads.
    """

    frames: int = Field(default=1, ge=1, le=1000)
    every: int = Field(default=0, ge=0)
    gray: Literal["rgb", "luma"] = "rgb"
    output: Literal["maps", "mean"] = "maps"

    @property
    @abstractmethod
    def picture_size(self) -> tuple[int, int]:
        """Height and width of what the network sees."""

    def decoding(self, height: int, width: int) -> dict[str, Any]:
        """What :func:`emodask.media.gray_frames` is told, for pictures of a size."""
        chosen = self.model_dump(include={"frames", "gray", "every"})
        return {**self.decoded_size(height, width), **chosen}

    @property
    def streamed(self) -> bool:
        """Whether the array is read batch by batch, by networks alone."""
        return self.output == "maps"
