"""Frames cropped to a face, and the keys of a job that say how."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from emodask.features import FamilySettings
from emodask.features.faces.detectors import DetectorName, detector
from emodask.features.faces.following import follow

_FINDING = 16 << 20
"""Bytes that a detector takes, with the picture that it looks at."""

_EVERY = 5
"""Frames from one that is looked at to the next, where they follow closely upon each other."""


class FaceCrop(FamilySettings):
    """Keys that families of frames have in common: whether they see frames or faces.

    Attributes
    ----------
    crop : "none" or "face"
        Whole frames, or one person's face: found, followed, cropped to the shape of the result.
    decode_height, decode_width : int
        Pixels of the frames in which faces are looked for, and which are cropped: a video of other
        proportions fills a part of them.
    detector : "haar" or "blazeface"
        What finds faces (:func:`emodask.features.faces.detectors.detector`).
    margin : float
        What is seen around the face on each side, in parts of its size.
    """

    LATER: ClassVar[frozenset[str]] = frozenset(
        {"crop", "decode_height", "decode_width", "detector", "margin"}
    )

    crop: Literal["none", "face"] = "none"
    decode_height: int = Field(default=480, ge=16)
    decode_width: int = Field(default=854, ge=16)
    detector: DetectorName = "haar"
    margin: float = Field(default=0.1, ge=0, le=2)

    @model_validator(mode="after")
    def _crop_has_what_it_needs(self) -> FaceCrop:
        idle = sorted(self.model_fields_set & self.LATER - {"crop"})
        if self.crop == "none" and any(
            getattr(self, key) != type(self).model_fields[key].default for key in idle
        ):
            raise ValueError(f'{" and ".join(idle)} means something with crop = "face" alone')
        return self

    def decoded_size(self, height: int, width: int) -> dict[str, Any]:
        """What :func:`emodask.media.gray_frames` is told of the size of frames.

        A face is looked for as it is: the proportions of a video are kept, as those of telephones
        held upright.
        """
        if self.crop == "none":
            return {"height": height, "width": width}
        return {"height": self.decode_height, "width": self.decode_width, "fit": True}

    def load_detector(self) -> None:
        """Load what finds faces, if they are cropped to; it is kept for the life of this process.

        Raises
        ------
        FeatureError
            If it cannot be loaded; the message says what is missing.
        """
        if self.crop == "face":
            detector(self.detector)

    def crop_memory(self, frames: int, height: int, width: int) -> int:
        """The most bytes that :meth:`cropped` takes for so many frames of a family's size."""
        return 0 if self.crop == "none" else _FINDING + 4 * frames * height * width

    def cropped(
        self, frames: npt.NDArray[Any], height: int, width: int, close: bool = True
    ) -> npt.NDArray[Any]:
        """Decoded frames as the family sees them.

        Parameters
        ----------
        frames : ndarray, shape (n, decoded height, decoded width)
        height, width : int
        close : bool
            Whether frames follow closely upon each other.

        Raises
        ------
        FeatureError
            If no face is found in any frame.
        """
        if self.crop == "none":
            return frames
        finder = detector(self.detector)
        x, y, size = follow(frames, finder, self.detector, _EVERY if close else 1, close)
        return crops(frames, x, y, size * (1 + 2 * self.margin), (height, width))


def crops(
    frames: npt.NDArray[Any],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    size: float,
    shape: tuple[int, int],
) -> npt.NDArray[np.float32]:
    """Rectangles of frames, scaled to one shape.

    Each is the smallest of the shape's proportions that holds a square of ``size`` pixels, and is
    moved into the frame where it reaches out; where it is larger than the frame, the frame's edge
    goes on. Positions are those of parts of a pixel, so that what moves slowly does not move in
    steps.

    Parameters
    ----------
    frames : ndarray of uint8 or float32, shape (n, height, width)
    x, y : ndarray, shape (n,)
        Middles of the squares.
    size : float
        Pixels.
    shape : (int, int)
        Height and width of the result.

    Returns
    -------
    ndarray of float32, shape (n, *shape)

    Examples
    --------
    >>> ramp = np.tile(np.arange(8, dtype=np.float32), (1, 6, 1))
    >>> crops(ramp, np.array([3.0]), np.array([3.0]), 2, (2, 2)).tolist()
    [[[2.0, 3.0], [2.0, 3.0]]]
    """
    import cv2

    height, width = shape
    tall = max(size, size * height / width)
    wide = tall * width / height
    high, across = max(round(tall), 1), max(round(wide), 1)
    # Enlarged, pixels come straight from the frame; made smaller, each is a mean of what it covers.
    enlarged = high < height
    first = (width, height) if enlarged else (across, high)
    step_x, step_y = wide / first[0], tall / first[1]
    out = np.empty((len(frames), height, width), np.float32)
    for i, frame in enumerate(frames):
        left = _within(x[i] - wide / 2, wide, frame.shape[1])
        top = _within(y[i] - tall / 2, tall, frame.shape[0])
        # Pixel k covers k to k + 1, and its level stands in the middle.
        warp = np.array(
            [
                [step_x, 0, left + step_x / 2 - 0.5],
                [0, step_y, top + step_y / 2 - 0.5],
            ]
        )
        found = cv2.warpAffine(
            frame.astype(np.float32, copy=False),
            warp,
            first,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if not enlarged:
            found = cv2.resize(found, (width, height), interpolation=cv2.INTER_AREA)
        out[i] = found
    return out


def _within(start: float, length: float, limit: int) -> float:
    """Where a stretch begins once it is moved into 0 to ``limit``; centred if it is longer."""
    if length >= limit:
        return (limit - length) / 2
    return min(max(start, 0.0), limit - length)
