"""MFCC statistics: least, most, mean and spread of cepstral coefficients and their slopes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from emodask.features import Family
from emodask.features.audio.descriptors import N_MFCC, mfcc, rms
from emodask.features.audio.further_rows import VariantSettings, with_variants
from emodask.features.audio.sound import checked
from emodask.features.audio.stft import HOP_LENGTH, magnitudes

DELTA_WIDTH = 9
"""Frames that the line or parabola is fitted to whose slope or bend is a delta."""

STATISTICS = ("mean", "minimum", "maximum", "deviation")
NAMES = (
    *(
        f"{order}{i}/{statistic}"
        for statistic in STATISTICS
        for order in ("mfcc_", "delta_", "delta_delta_")
        for i in range(N_MFCC)
    ),
    "rms/mean",
)

# Magnitudes and powers of 1025 numbers every 512 samples: 12 to 17 measured, and room to spare.
_BYTES_A_SAMPLE = 30


class Settings(VariantSettings):
    """Keys of a job's ``[features.mfcc_statistics]`` table.

    Attributes
    ----------
    rate : int
        Samples per second.
    """

    rate: int = Field(default=22050, ge=8000, le=192_000)


def mfcc_statistics(samples: npt.NDArray[np.floating], rate: int) -> npt.NDArray[np.float32]:
    """157 statistics over time of 13 MFCC, their first and second deltas, and the mean RMS.

    Parameters
    ----------
    samples : floating-point array, (n,)
        Mono, full scale 1.
    rate : int
        Samples per second.

    Returns
    -------
    float32 array, (157,)
        In the order of `NAMES`.

    Raises
    ------
    FeatureError
        If the samples are not one finite channel of at least nine frames that holds sound.

    Notes
    -----
    The equal of ``librosa.feature.mfcc``, ``delta`` and ``rms`` with their defaults, to single
    precision. A delta is the slope of the least-squares line through nine frames, a delta-delta the
    second derivative of such a parabola (Savitzky & Golay, Analytical Chemistry 36, 1964).

    Examples
    --------
    >>> mfcc_statistics(np.sin(np.arange(22050) / 5), 22050).shape
    (157,)
    """
    from scipy.signal import savgol_filter

    needed = HOP_LENGTH * (DELTA_WIDTH - 1)
    signal = checked(samples, rate, needed, f"deltas need {DELTA_WIDTH} frames")
    cepstrum = mfcc(magnitudes(signal) ** 2, rate).astype(np.float64)
    slopes = [
        savgol_filter(cepstrum, DELTA_WIDTH, deriv=order, polyorder=order, axis=1, mode="interp")
        for order in (1, 2)
    ]
    curves = np.concatenate([cepstrum, *slopes])
    found = [curves.mean(axis=1), curves.min(axis=1), curves.max(axis=1), curves.std(axis=1)]
    return np.concatenate([*found, [rms(signal).mean()]], dtype=np.float32)


FAMILY = with_variants(
    Family(
        modality="audio",
        settings=Settings,
        dims=lambda settings: {"statistic": len(NAMES)},
        decode=lambda settings: {"rate": settings.rate},
        compute=lambda samples, settings, seed: mfcc_statistics(samples, settings.rate),
        memory=lambda settings, count: _BYTES_A_SAMPLE * count,
        coords=lambda settings: {"statistic": NAMES},
    )
)
