"""Spline features: 34 descriptor curves of eight speech variants, as B-spline coefficients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from emodask.errors import UsageError
from emodask.features import Family
from emodask.features.audio.bspline import projector
from emodask.features.audio.descriptors import CURVES, descriptors
from emodask.features.audio.further_rows import VariantSettings, with_variants
from emodask.features.audio.sound import checked
from emodask.features.audio.stft import HOP_LENGTH
from emodask.features.audio.variants import SPEEDS, VARIANTS, variants

NAMES = tuple(f"{variant}/{curve}" for variant in VARIANTS for curve in CURVES)

# Most of it for the slowest variant, twice as long: its spectrum of 1025 complex numbers every 512
# samples, and the frames of 2048 samples that it is transformed back to. Measured.
_BYTES_A_SAMPLE = 160


class Settings(VariantSettings):
    """Keys of a job's ``[features.spline]`` table.

    Attributes
    ----------
    rate : int
        Samples per second; above 12800, so that the seventh band of spectral contrast exists.
    knots : int
        Knots of the B-spline basis, equally spaced over the clip.
    order : int
        Degree of the splines + 1.
    noise : float
        Standard deviation of the noise in the variant ``noise``; full scale is 1.

    Examples
    --------
    >>> Settings(knots=20)
    Settings(precision='float32', variants=(), rate=22050, knots=20, order=4, noise=0.005)
    """

    rate: int = Field(default=22050, gt=12_800, le=192_000)
    knots: int = Field(default=12, ge=2, le=64)
    order: int = Field(default=4, ge=2, le=6)
    noise: float = Field(default=0.005, ge=0, le=1)

    @property
    def coefficients(self) -> int:
        """How many coefficients each curve becomes."""
        return self.knots + self.order - 2


def spline_features(
    samples: npt.NDArray[np.floating],
    rate: int,
    knots: int = 12,
    order: int = 4,
    seed: int = 0,
    noise: float = 0.005,
) -> npt.NDArray[np.float32]:
    """B-spline coefficients of 34 descriptors of each of eight variants of a voice.

    Every curve is fitted by least squares over its own frames, which are taken as equally spaced
    on [0, 1]. So clips of any length, and all variants of one clip, give arrays of one shape.

    Parameters
    ----------
    samples : floating-point array, (n,)
        Mono, full scale 1.
    rate : int
        Samples per second, above 12800.
    knots, order : int
        Of the spline basis: equally spaced knots on [0, 1], degree + 1.
    seed : int
        Of the noise: the same samples and seed give the same bytes.
    noise : float
        Standard deviation of the noise in the first variant.

    Returns
    -------
    float32 array, (knots + order - 2, 272)
        Column ``34 * variant + curve`` is the curve of that name in `NAMES`.

    Raises
    ------
    FeatureError
        If the samples are not one finite channel that holds sound and is long enough.
    UsageError
        If the rate, the knots or the order cannot be meant.

    Notes
    -----
    The arithmetic is that of librosa 0.11 and scikit-fda, one function after the other, to within
    1e-5 of each curve's largest coefficient.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 220 / 22050 * np.arange(22050)).astype(np.float32)
    >>> spline_features(tone, 22050).shape
    (14, 272)
    """
    if not 12_800 < rate <= 192_000:
        raise UsageError(f"rate {rate} Hz: above 12800 and at most 192000 Hz would be right")
    if knots < 2 or order < 2:
        raise UsageError(f"knots {knots}, order {order}: at least 2 each would be right")
    coefficients, fastest = knots + order - 2, max(SPEEDS.values())
    signal = checked(
        samples,
        rate,
        int(HOP_LENGTH * (coefficients - 1) * fastest),
        f"{coefficients} spline coefficients need {coefficients} frames at speed {fastest}",
    )
    fitted = []
    for variant in variants(signal, rate, noise, seed).values():
        curves = descriptors(variant, rate)
        projected = projector(curves.shape[1], knots, order)
        # einsum rather than a product by BLAS, whose bytes depend on its number of threads.
        fitted.append(np.einsum("bt,ct->bc", projected, curves))
    return np.concatenate(fitted, axis=1, dtype=np.float32)


def _compute(
    samples: npt.NDArray[np.floating], settings: Settings, seed: int
) -> npt.NDArray[np.float32]:
    return spline_features(
        samples, settings.rate, settings.knots, settings.order, seed, settings.noise
    )


FAMILY = with_variants(
    Family(
        modality="audio",
        settings=Settings,
        dims=lambda settings: {"basis": settings.coefficients, "feature": len(NAMES)},
        decode=lambda settings: {"rate": settings.rate},
        compute=_compute,
        memory=lambda settings, count: _BYTES_A_SAMPLE * count,
        coords=lambda settings: {"feature": NAMES},
    )
)
