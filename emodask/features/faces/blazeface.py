"""BlazeFace, the detector of MediaPipe: run by OpenCV, its boxes decoded from anchors.

The network says of each of 896 anchors how likely a face lies there, and where exactly. Anchors and
boxes are those of MediaPipe's graph ``face_detection_short_range_common.pbtxt`` (Apache-2.0): two
anchors in the middle of each of 16 x 16 squares, then six of each of 8 x 8, all of one size.

References
----------
Bazarevsky, Kartynnik, Vakunov, Raveendran, Grundmann, "BlazeFace: sub-millisecond neural face
detection on mobile GPUs", 2019, arXiv:1907.05047.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from emodask.errors import FeatureError
from emodask.features.faces.detectors import Detector, Face

_SIDE = 128
"""Pixels of the square that the network sees."""
_ANCHORS = ((16, 2), (8, 6))
"""Squares along each side of the picture, and anchors in each: strides of 8, and of 16 thrice."""
_LIKELY = 0.5
"""Probability from which there is a face, as ``min_score_thresh`` of the graph."""
_SAME = 0.3
"""Overlap from which two boxes are one face, as ``min_suppression_threshold``."""
_SCORES, _BOXES = "classificators", "regressors"
_SHA256 = "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8"
"""Of the one file that is meant: another would find other boxes under the same settings."""


def anchors() -> npt.NDArray[np.float32]:
    """Middles of the anchors, as parts of the picture's sides: (896, 2), x and y.

    Examples
    --------
    >>> anchors()[[0, 1, 2, -1]].tolist()
    [[0.03125, 0.03125], [0.03125, 0.03125], [0.09375, 0.03125], [0.9375, 0.9375]]
    """
    layers = []
    for squares, each in _ANCHORS:
        middle = (np.arange(squares) + 0.5) / squares
        y, x = np.meshgrid(middle, middle, indexing="ij")
        layers.append(np.stack([x, y], axis=-1).reshape(-1, 2).repeat(each, axis=0))
    return np.concatenate(layers).astype(np.float32)


def decoded(
    scores: npt.NDArray[np.float32], boxes: npt.NDArray[np.float32]
) -> list[tuple[float, Face]]:
    """Probabilities and faces, in parts of the square that the network saw; the likeliest first.

    Boxes of one face are averaged, each by its probability, as the graph's weighted suppression of
    those that are no maximum does.

    Parameters
    ----------
    scores : ndarray, shape (896,)
        Logits.
    boxes : ndarray, shape (896, 16)
        Middle and sides in pixels, from each anchor; six points of the face, which are not used.
    """
    chances = 1 / (1 + np.exp(-np.clip(scores.astype(np.float64), -100, 100)))
    likely = np.flatnonzero(chances >= _LIKELY)
    order = likely[np.argsort(-chances[likely], kind="stable")]
    middle = anchors()[order] + boxes[order, :2] / _SIDE
    sides = boxes[order, 2:4] / _SIDE
    low, high = middle - sides / 2, middle + sides / 2
    found = []
    left = np.arange(len(order))
    while left.size:
        best = left[0]
        common = np.minimum(high[left], high[best]) - np.maximum(low[left], low[best])
        shared = np.maximum(common, 0).prod(axis=1)
        union = sides[left].prod(axis=1) + sides[best].prod() - shared
        same = (shared > _SAME * union) | (left == best)
        one = left[same]
        weights = chances[order[one]]
        x, y = np.average(middle[one], axis=0, weights=weights).tolist()
        size = float(np.average(sides[one].max(axis=1), weights=weights))
        found.append((float(chances[order[best]]), Face(x, y, size)))
        left = left[~same]
    return found


def blazeface(file: str) -> Detector:
    """The detector whose network lies in a file.

    Raises
    ------
    FeatureError
        If there is no such file, or it holds something else; the message says where it lies.
    """
    import cv2

    where = (
        "BlazeFace's face_detection_short_range.tflite lies in the wheel of mediapipe 0.10.21 (pip "
        "download --no-deps mediapipe==0.10.21; a wheel is a zip); set EMODASK_BLAZEFACE to it "
        "wherever clips are decoded"
    )
    try:
        found = Path(file).read_bytes() if file else b""
    except OSError as error:
        raise FeatureError(
            f"EMODASK_BLAZEFACE: {Path(file).name} cannot be read ({error.strerror}). {where}"
        ) from error
    if not found:
        raise FeatureError(f'detector = "blazeface" needs its network. {where}')
    if (sha256 := hashlib.sha256(found).hexdigest()) != _SHA256:
        raise FeatureError(
            f"EMODASK_BLAZEFACE: {Path(file).name} has the SHA-256 {sha256[:12]}..., not "
            f"{_SHA256[:12]}.... {where}"
        )
    network = cv2.dnn.readNetFromTFLite(np.frombuffer(found, np.uint8))

    def faces(picture: npt.NDArray[np.uint8]) -> list[Face]:
        height, width = picture.shape
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        square = np.zeros((side, side), np.uint8)
        square[top : top + height, left : left + width] = picture
        small = cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        levels = small.astype(np.float32) / 127.5 - 1
        network.setInput(np.broadcast_to(levels, (1, 3, _SIDE, _SIDE)).copy())
        scores, boxes = (np.asarray(a, np.float32) for a in network.forward([_SCORES, _BOXES]))
        return [
            Face(side * face.x - left, side * face.y - top, side * face.size)
            for _, face in decoded(scores[0, :, 0], boxes[0])
        ]

    return faces
