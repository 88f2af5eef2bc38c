"""Detectors of faces, by name: gray picture in, boxes out."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

DetectorName = Literal["haar", "blazeface"]


@dataclass(frozen=True)
class Face:
    """A square in a picture that holds a face, from the brows to the chin.

    Attributes
    ----------
    x, y : float
        Its middle, in pixels from the left and upper edges.
    size : float
        A side, in pixels.
    """

    x: float
    y: float
    size: float


Detector = Callable[[npt.NDArray[np.uint8]], list[Face]]
"""Faces of a gray picture, shape (height, width)."""

_LOOK = 240
"""Rows of the picture that Haar features are looked for in: larger ones are scaled down."""
_SMALLEST = 0.125
"""Of the picture's height: what is smaller is no speaker's face."""
_STEP = 1.1
"""From one size of the searched square to the next."""
_NEIGHBOURS = 5
"""Squares beside each other that must agree: OpenCV's examples have 3 to 6."""


@functools.cache
def detector(name: DetectorName) -> Detector:
    """A detector, loaded once in a process.

    Parameters
    ----------
    name : "haar" or "blazeface"
        ``haar`` is OpenCV's cascade of Haar features for faces from the front, which comes with
        OpenCV before version 5. ``blazeface`` is MediaPipe's network for short ranges, whose file
        the variable ``EMODASK_BLAZEFACE`` of the environment names.

    Raises
    ------
    FeatureError
        If it cannot be loaded; the message says what is missing.

    References
    ----------
    Viola, Jones, "Rapid object detection using a boosted cascade of simple features", CVPR 2001;
    Lienhart, Kuranov, Pisarevsky, "Empirical analysis of detection cascades of boosted classifiers
    for rapid object detection", DAGM 2003: the cascade of OpenCV.
    """
    if name == "haar":
        return _haar()
    from emodask.features.faces.blazeface import blazeface

    return blazeface(os.environ.get("EMODASK_BLAZEFACE", ""))


def _haar() -> Detector:
    import cv2

    from emodask.errors import FeatureError

    folder = getattr(getattr(cv2, "data", None), "haarcascades", None)
    if folder is None or not hasattr(cv2, "CascadeClassifier"):
        raise FeatureError(
            f"OpenCV {cv2.__version__} has no cascades of Haar features; "
            "pip install 'opencv-python-headless<5', or choose detector = \"blazeface\""
        )
    cascade = cv2.CascadeClassifier(f"{folder}haarcascade_frontalface_default.xml")

    def faces(picture: npt.NDArray[np.uint8]) -> list[Face]:
        scale = max(picture.shape[0] / _LOOK, 1.0)
        size = (round(picture.shape[1] / scale), round(picture.shape[0] / scale))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        least = max(round(_SMALLEST * size[1]), 1)
        found = cascade.detectMultiScale(small, _STEP, _NEIGHBOURS, minSize=(least, least))
        return [
            Face(scale * (x + side / 2), scale * (y + side / 2), scale * side)
            for x, y, side, _ in np.asarray(found, float).reshape(-1, 4).tolist()
        ]

    return faces
