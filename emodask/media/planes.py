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


class Planes:
    """Turns decoded frames into planes of one size, upright: red, green and blue, or luma alone.

    Parameters
    ----------
    size : (int, int)
        Width and height.
    gray : "rgb" or "luma"
    """

    def __init__(self, size: tuple[int, int], gray: str) -> None:
        self._size = size
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
        width, height = self._size[::-1] if transposed else self._size
        found = np.empty((len(planes), height, width), np.uint8)
        for plane, target in zip(planes, found, strict=True):
            scaled(plane, (width, height), frame.width, target)
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
