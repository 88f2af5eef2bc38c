"""VGG16's convolutional base: 13 convolutions of 3x3 in five blocks, each ending in a pooling.

Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR
2015; configuration D. VGG-Face (Parkhi, Vedaldi & Zisserman, "Deep Face Recognition", BMVC 2015) is
the same network, trained on faces of 2622 people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emodask.networks.layouts import Layout

if TYPE_CHECKING:
    from torch import nn

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of the convolutions of each block."""

CHANNELS = BLOCKS[-1][-1]
STRIDE = 2 ** len(BLOCKS)
"""Pixels of a picture for each position of its maps; what is left of a last one is not seen."""

N_PARAMETERS = 14_714_688

NORMALISATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 255.0),
    "vggface": ((129.1863, 104.7624, 93.5940), (1.0, 1.0, 1.0), 1.0),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 255.0),
}
"""Mean and deviation of red, green and blue, and what levels are divided by before: torchvision's
of ImageNet; VGG-Face's own mean colour; and levels in [0, 1] alone."""

_SOURCES = (
    "Such weights are torchvision's vgg16-397923af.pth (ImageNet; torchvision is under the BSD "
    "licence), or VGG-Face's vgg_face_dag.pth (Oxford's Visual Geometry Group, converted by "
    "A. Albanie; Creative Commons BY-NC: not for commercial use). emodask ships neither"
)


def _convolutions() -> list[tuple[int, str, int, int]]:
    """Place in the module, the Caffe name, and channels in and out of each convolution."""
    found, place, before = [], 0, 3
    for block, channels in enumerate(BLOCKS, 1):
        for number, after in enumerate(channels, 1):
            found.append((place, f"conv{block}_{number}", before, after))
            place, before = place + 2, after
        place += 1
    return found


def _layout() -> Layout:
    shapes: dict[str, tuple[int, ...]] = {}
    torchvision, oxford = {}, {}
    for place, name, before, after in _convolutions():
        for part, shape in (("weight", (after, before, 3, 3)), ("bias", (after,))):
            ours = f"features.{place}.{part}"
            shapes[ours] = shape
            torchvision[ours] = ours
            oxford[ours] = f"{name}.{part}"
    bare = {ours: ours.removeprefix("features.") for ours in shapes}
    namings = {"torchvision's": torchvision, "Oxford's": oxford, "the features alone": bare}
    return Layout("VGG16", shapes, namings, _SOURCES)


LAYOUT = _layout()


def base() -> nn.Module:
    """The convolutional base with PyTorch's own initial weights; its maps are ``(n, 512, y, x)``.

    Examples
    --------
    >>> bool(sum(np.prod(shape) for shape in LAYOUT.shapes.values()) == N_PARAMETERS)
    True
    """
    from torch import nn

    layers: list[nn.Module] = []
    before = 3
    for channels in BLOCKS:
        for after in channels:
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
            before = after
        layers.append(nn.MaxPool2d(2))
    module = nn.Sequential()
    module.add_module("features", nn.Sequential(*layers))
    return module


def normalised(gray: npt.NDArray[Any], normalisation: str) -> npt.NDArray[np.float32]:
    """Gray pictures as the network's colours: gray three times, less the mean of each colour.

    Parameters
    ----------
    gray : ndarray, shape (n, height, width)
        Levels from 0 to 255.
    normalisation : str
        A key of :data:`NORMALISATIONS`.

    Returns
    -------
    ndarray of float32, shape (n, 3, height, width)

    Examples
    --------
    >>> normalised(np.full((1, 1, 1), 255.0), "none").ravel().tolist()
    [1.0, 1.0, 1.0]
    """
    mean, deviation, scale = NORMALISATIONS[normalisation]
    levels = gray[:, np.newaxis].astype(np.float32) / np.float32(scale)
    shape = (1, 3, 1, 1)
    centred = levels - np.array(mean, np.float32).reshape(shape)
    return np.ascontiguousarray(centred / np.array(deviation, np.float32).reshape(shape))


def map_size(side: int) -> int:
    """Positions of the maps along a side of so many pixels.

    Examples
    --------
    >>> map_size(224), map_size(128), map_size(227)
    (7, 4, 7)
    """
    return side // STRIDE
