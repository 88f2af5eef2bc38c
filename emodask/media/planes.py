"""Decoded frames -> planes of one size, upright."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.reformatter import VideoReformatter

from emodask.errors import MediaError
from emodask.media.decoding import why
from emodask.media.scaling import scaled

_WHOLE_BLOCKS = 16
"""Columns that swscale converts to planes at a time; it garbles what is left of a last block."""


def fitted(size: tuple[int, int], full: tuple[int, int]) -> tuple[int, int]:
    """The largest width and height of a picture's proportions that fit, give or take a pixel.

    Examples
    --------
    >>> fitted((1280, 720), (854, 480)), fitted((1080, 1920), (854, 480))
    ((854, 480), (270, 480))
    """
    scale = min(full[0] / size[0], full[1] / size[1])
    width, height = (max(round(side * scale), 1) for side in size)
    return (
        full[0] if abs(width - full[0]) <= 1 else width,
        full[1] if abs(height - full[1]) <= 1 else height,
    )


def _centred(planes: npt.NDArray[np.uint8], full: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Planes in the middle of larger ones, their edges going on."""
    width, height = full
    down, across = height - planes.shape[1], width - planes.shape[2]
    return np.pad(
        planes,
        ((0, 0), (down // 2, down - down // 2), (across // 2, across - across // 2)),
        mode="edge",
    )


class Planes:
    """Turns decoded frames into planes of one size, upright: red, green and blue, or luma alone.

    Parameters
    ----------
    size : (int, int)
        Width and height.
    gray : "rgb" or "luma"
    fit : bool
        Keep a frame's proportions: scaled as large as fits, in the middle, its edges going on where
        it does not fill the size. Without it, it is stretched to the size.
    """

    def __init__(self, size: tuple[int, int], gray: str, fit: bool = False) -> None:
        self._size = size
        self._fit = fit
        self._gray = gray
        self._reformatter = VideoReformatter()  # sets its conversion up once, not for each frame

    def of(self, frame: Any) -> npt.NDArray[np.uint8]:
        """The planes of a frame, shape (3 or 1, height, width)."""
        try:
            planes = [self._luma(frame)] if self._gray == "luma" else self._rgb(frame)
        except (av.FFmpegError, ValueError, OSError) as error:
            raise MediaError(
                f"frames in pixel format {frame.format.name} cannot be converted: {why(error)}"
            ) from error
        transposed, flip_y, flip_x = _orientation(frame)
        full = self._size[::-1] if transposed else self._size
        width, height = fitted((frame.width, frame.height), full) if self._fit else full
        found = np.empty((len(planes), height, width), np.uint8)
        for plane, target in zip(planes, found, strict=True):
            scaled(plane, (width, height), frame.width, target)
        if (width, height) != full:
            found = _centred(found, full)
        if transposed:
            found = found.swapaxes(1, 2)
        return np.ascontiguousarray(found[:, :: -1 if flip_y else 1, :: -1 if flip_x else 1])

    def _as(self, frame: Any, pixels: str) -> Any:
        """A frame in another pixel format; in one thread: starting more takes longer."""
        return self._reformatter.reformat(frame, format=pixels, threads=1)

    def _rgb(self, frame: Any) -> list[npt.NDArray[np.uint8]]:
        if frame.width % _WHOLE_BLOCKS:
            packed = _rows(self._as(frame, "rgb24").planes[0])[:, : 3 * frame.width]
            return [np.ascontiguousarray(packed[:, colour::3]) for colour in range(3)]
        green, blue, red = (_rows(plane) for plane in self._as(frame, "gbrp").planes)
        return [red, green, blue]

    def _luma(self, frame: Any) -> npt.NDArray[np.uint8]:
        """The Y plane as the decoder left it."""
        if not frame.format.name.startswith(("yuv4", "yuvj4", "nv12", "gray")) or (
            frame.format.components[0].bits != 8
        ):
            frame = self._as(frame, "yuv420p")
        if frame.planes[0].line_size < frame.width:  # stored bottom up
            frame = self._as(self._as(frame, "rgb24"), "yuv420p")
        return _rows(frame.planes[0])


def _rows(plane: Any) -> npt.NDArray[np.uint8]:
    """The lines of a plane where they lie, padding included."""
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)


def _orientation(frame: Any) -> tuple[bool, bool, bool]:
    """How a frame is turned upright: swap its sides first, then flip up and down, left and right.

    A display matrix maps a pixel (x, y) to (a x + c y, b x + d y), as ISO 14496-12, 6.2.2 has it.
    """
    # Not frame.side_data: the frame would keep what keeps the frame, and so all of a video's frames
    # would stay in memory until Python looks for cycles.
    data = SideDataContainer(frame).get(Type.DISPLAYMATRIX)  # type: ignore[call-arg]
    if data is None:
        return False, False, False
    a, b, _, c, d, *_ = np.frombuffer(data, np.int32, 9).tolist()
    if (a and d and not b and not c) or not (a or b or c or d):
        return False, d < 0, a < 0
    if b and c and not a and not d:
        return True, b < 0, c < 0
    raise MediaError(
        "its display matrix turns the picture by other than quarter turns and mirrors; "
        "the file is damaged, or should be re-encoded upright"
    )
