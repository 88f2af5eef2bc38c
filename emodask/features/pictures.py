"""Pictures: some gray frames of a clip as they are, for networks that look at faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from emodask.features import Family
from emodask.features.faces.cropping import FaceCrop


class Settings(FaceCrop):
    """Keys of ``[features.pictures]``.

    Attributes
    ----------
    frames : int
        Pictures of a clip.
    every : int
        Video frames from one picture to the next, beginning with the first frame. What comes after
        the last picture is not seen; a clip that ends before it has its last picture again. 0
        spreads the pictures evenly over the clip, each from the middle of its share of the frames:
        ``frames = 1`` with ``every = 0`` is the frame in the middle.
    height, width : int
        Pixels of a picture, whatever the shape of the video.
    crop : "none" or "face"
        Whole frames, or the face in them, as :class:`emodask.features.faces.cropping.FaceCrop` has
        it. Each picture is looked at; one without a face is cropped as the nearest that has one.
    gray : "rgb" or "luma"
        As of HOG3D.
    precision : "uint8"
        Gray levels are stored rounded to whole ones; they are read as float32, from 0 to 255.

    Examples
    --------
    >>> Settings(frames=1, every=0, height=224, width=224).precision
    'uint8'
    """

    precision: Literal["uint8"] = "uint8"  # type: ignore[assignment]  # in place of the others

    frames: int = Field(default=6, ge=1)
    every: int = Field(default=20, ge=0)
    height: int = Field(default=256, ge=2)
    width: int = Field(default=256, ge=2)
    gray: Literal["rgb", "luma"] = "rgb"

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width of a picture."""
        return self.height, self.width


def _dims(settings: Settings) -> Mapping[str, int]:
    return {
        "picture": settings.frames,
        "picture_y": settings.height,
        "picture_x": settings.width,
    }


def _decode(settings: Settings) -> Mapping[str, Any]:
    size = settings.decoded_size(settings.height, settings.width)
    return {**size, **settings.model_dump(include={"frames", "gray", "every"})}


def _compute(frames: npt.NDArray[Any], settings: Settings, seed: int) -> npt.NDArray[np.float32]:
    pictures = settings.cropped(frames, settings.height, settings.width, close=False)
    return pictures.astype(np.float32, copy=False)


FAMILY = Family(
    modality="video",
    settings=Settings,
    dims=_dims,
    decode=_decode,
    compute=_compute,
    memory=lambda settings, count: settings.crop_memory(
        settings.frames, settings.height, settings.width
    ),
    streamed=True,
    prepare=lambda settings: settings.load_detector(),
)
