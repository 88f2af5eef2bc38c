"""The picture of a face as HOG3D sees it: frame, magnitude, azimuth, polar angle, cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emodask.evaluation.pages.drawing import new_figure, write
from emodask.pictures import colours
from emodask.pictures.gradients import Gradients, gradients_at, liveliest, strongest_angles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BRIGHTEST = 99.5
"""Percentile of the magnitudes that gets the brightest colour."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One image of a face and what it shows."""

    name: str
    image: colours.Image
    pixels: bool = True
    """False of cells, which are drawn as the rectangles that they are."""


def most_magnitude(found: Gradients) -> float:
    """The magnitude that the brightest colour stands for, in all of some frames."""
    return float(np.percentile(found.magnitude, BRIGHTEST))


def pixel_panels(found: Gradients, time: int, most: float) -> Iterator[Panel]:
    """Frame, gradient magnitude, azimuth and polar angle of one frame."""
    weight = found.magnitude[time]
    yield Panel("frame", colours.gray(found.frames[time]))
    yield Panel("gradient magnitude", colours.magnitude(weight, most))
    yield Panel("azimuth", colours.azimuth(found.azimuth[time], weight))
    yield Panel("polar angle", colours.polar(found.polar[time], weight))


def cell_panels(cells: npt.NDArray[np.floating], time: int) -> Iterator[Panel]:
    """The strongest azimuth and polar angle of each cell of one slice of time.

    Parameters
    ----------
    cells : array, shape (cells_y, cells_x, cells_t, bins, 2)
    time : int
        Which of the slices.
    """
    azimuth, polar = strongest_angles(cells[:, :, time])
    yield Panel("azimuth, cells", colours.azimuth(azimuth), pixels=False)
    yield Panel("polar angle, cells", colours.polar(polar), pixels=False)


def face_panels(
    frames: npt.NDArray[np.floating] | None,
    cells: npt.NDArray[np.floating] | None,
    smooth: bool = False,
    cell_time: int = 1,
) -> list[Panel]:
    """Every panel that can be drawn, at the frame in which most changes.

    Parameters
    ----------
    frames : array, shape (time, height, width), or None
        Gray levels; None where the clip's media is not to be had: the cells are then those of the
        middle of the clip.
    cells : array, shape (cells_y, cells_x, cells_t, bins, 2), or None
        As stored.
    smooth : bool
        As the feature's setting.
    cell_time : int
        Frames of a cell.
    """
    panels: list[Panel] = []
    time = None
    if frames is not None:
        time = liveliest(frames)
        found = gradients_at(frames, time, smooth)
        panels += pixel_panels(found, 0, most_magnitude(found))
    if cells is not None:
        slices = cells.shape[2]
        middle = slices // 2 if time is None else time // cell_time
        panels += cell_panels(cells, min(middle, slices - 1))
    return panels


def face_figure(panels: list[Panel], shape: float, heading: str = "") -> Figure:
    """Draw panels beside each other, up to four in a row, with keys of their colours.

    Parameters
    ----------
    panels : list of Panel
    shape : float
        Height of a frame, divided by its width.
    heading : str
        What stands above.
    """
    columns = 2 if len(panels) <= 4 else 3
    if len(panels) == 6:  # cells below the pixels that they sum up
        panels = [panels[i] for i in (0, 2, 3, 1, 4, 5)]
    rows = -(-len(panels) // columns)
    width, gap, above, top, below = 3.1, 0.12, 0.26, 0.42 if heading else 0.05, 0.72
    high = width * shape
    full = columns * width + (columns + 1) * gap
    tall = top + rows * (high + above) + below
    figure = new_figure(full, tall)
    page = figure.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    page.set_xlim(0, full)
    page.set_ylim(tall, 0)
    if heading:
        write(page, gap, 0.24, heading, fontsize=12, fontweight="bold")
    for i, panel in enumerate(panels):
        row, column = divmod(i, columns)
        left, upper = gap + column * (width + gap), top + row * (high + above)
        write(page, left, upper + above / 2, panel.name)
        place = (left / full, 1 - (upper + above + high) / tall, width / full, high / tall)
        axes = figure.add_axes(place)
        axes.set_axis_off()
        interpolation = "antialiased" if panel.pixels else "nearest"
        axes.imshow(panel.image, aspect="auto", interpolation=interpolation)
    _keys(figure, page, {panel.name.partition(",")[0] for panel in panels}, gap, full, tall)
    return figure


def _keys(
    figure: Figure, page: Axes, names: set[str], gap: float, full: float, tall: float
) -> None:
    """What the colours mean, in a line below the panels."""
    small: dict[str, Any] = {"fontsize": 8}
    left, middle = gap, tall - 0.36

    def picture(image: npt.NDArray[np.uint8], x: float, width: float, height: float) -> None:
        place = (x / full, 1 - (middle + height / 2) / tall, width / full, height / tall)
        axes = figure.add_axes(place)
        axes.set_axis_off()
        axes.imshow(image, aspect="auto")

    if "azimuth" in names:
        picture(colours.azimuth_key(192), left, 0.5, 0.5)
        write(page, left + 0.58, middle, "azimuth: towards\nwhat is brighter", **small)
        left += 1.85
    for name, label, scale, ends in (
        (
            "polar angle",
            "polar angle: in time it",
            colours.POLAR,
            ("brightens", "stands still", "darkens"),
        ),
        ("gradient magnitude", "gradient magnitude", colours.MAGNITUDE, ("none", "", "strong")),
    ):
        if name in names:
            picture(colours.key(scale), left, 1.7, 0.12)
            for x, end, ha in zip((0, 0.85, 1.7), ends, ("left", "center", "right"), strict=True):
                write(page, left + x, middle + 0.16, end, ha=ha, alpha=0.75, fontsize=7)
            write(page, left, middle - 0.17, label, **small)
            left += 2.1
