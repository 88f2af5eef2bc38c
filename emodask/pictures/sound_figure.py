"""The picture of a voice: its waveform above its mel spectrogram."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emodask.evaluation.pages.drawing import INK, SHADE, new_figure, write
from emodask.pictures.colours import LOUDNESS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUIETEST = -80.0
"""Decibels below the loudest that get the darkest colour."""
_COLUMNS = 300
_HERTZ = (0, 500, 1000, 2000, 4000, 8000, 16000)


def mel_spectrogram(
    samples: npt.NDArray[np.float32], rate: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Loudness of the mel bands that the coefficients are made from, and the bands' frequencies.

    Parameters
    ----------
    samples : float32 array, (n,)
    rate : int
        Samples per second, above 2000.

    Returns
    -------
    levels : float64 array, (128, frames)
        Decibels, 0 for the loudest and at least -80.
    hertz : float64 array, (128,)
        Where each band lies.
    """
    from emodask.features.audio.descriptors import decibels
    from emodask.features.audio.filters import bin_frequencies, mel_filters
    from emodask.features.audio.stft import magnitudes

    bank = mel_filters(rate)
    levels = decibels(bank.apply(magnitudes(samples) ** 2)).astype(np.float64)
    peaks = bin_frequencies(rate)[bank.weights.argmax(axis=1)]
    return np.maximum(levels - levels.max(), QUIETEST), peaks


def envelope(
    samples: npt.NDArray[np.float32], columns: int = _COLUMNS
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The lowest and the highest sample of each stretch of a signal.

    Examples
    --------
    >>> low, high = envelope(np.array([0.0, 1.0, -1.0, 0.5], np.float32), columns=2)
    >>> low.tolist(), high.tolist()
    ([0.0, -1.0], [1.0, 0.5])
    """
    edges = np.linspace(0, len(samples), min(columns, len(samples)) + 1).astype(int)[:-1]
    return np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)


def sound_figure(samples: npt.NDArray[np.float32], rate: int, heading: str = "") -> Figure:
    """Draw a waveform and, over the same time, how loud each frequency is.

    Parameters
    ----------
    samples : float32 array, (n,)
        Mono, full scale 1.
    rate : int
        Samples per second.
    heading : str
        What stands above.
    """
    width, left, right, top, below = 4.6, 0.62, 0.12, 0.34 if heading else 0.08, 0.42
    wave, gap, mel = 0.62, 0.06, 1.5
    tall = top + wave + gap + mel + below
    seconds = len(samples) / rate
    figure = new_figure(width, tall)
    page = figure.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    page.set_xlim(0, width)
    page.set_ylim(tall, 0)
    if heading:
        write(page, left, 0.16, heading, fontsize=11, fontweight="bold")
    across = (width - left - right) / width

    def below_the_top(start: float, height: float) -> tuple[float, float, float, float]:
        return left / width, 1 - (start + height) / tall, across, height / tall

    axes = figure.add_axes(below_the_top(top, wave))
    axes.set_axis_off()
    low, high = envelope(samples)
    peak = max(float(-low.min()), float(high.max()), 1e-9)
    axes.set_xlim(0, len(low))
    axes.set_ylim(-peak, peak)
    axes.fill_between(np.arange(len(low)) + 0.5, low, high, color=SHADE, lw=0.4)
    write(page, left - 0.08, top + wave / 2, f"±{peak:.2g}", ha="right", fontsize=9.5, alpha=0.75)

    levels, hertz = mel_spectrogram(samples, rate)
    axes = figure.add_axes(below_the_top(top + wave + gap, mel))
    axes.set_axis_off()
    axes.imshow(levels, origin="lower", aspect="auto", cmap=LOUDNESS, interpolation="none")
    bottom = top + wave + gap + mel
    for pitch in _HERTZ:
        if pitch < hertz[-1]:
            y = bottom - mel * (float(np.interp(pitch, hertz, np.arange(len(hertz)))) + 0.5) / 128
            shown = f"{pitch / 1000:g}" + (" kHz" if pitch == 1000 else "")
            write(page, left - 0.08, y, shown, ha="right", fontsize=9.5, alpha=0.75)
    step = next((s for s in (0.1, 0.25, 0.5, 1, 2, 5, 10) if seconds / s <= 8), 20)
    for second in np.arange(0, seconds, step):
        x = left + across * width * second / seconds
        page.plot([x, x], [bottom, bottom + 0.05], color=INK, alpha=0.6, lw=0.8)
        shown = f"{second:g}" + (" s" if second == 0 else "")
        write(page, x, bottom + 0.17, shown, ha="center", fontsize=9.5, alpha=0.75)
    return figure
