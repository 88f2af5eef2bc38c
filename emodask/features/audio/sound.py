"""Sound that features can be computed from: refused with a reason where it cannot be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from emodask.errors import FeatureError

# Full scale is 1; squares of spectra of anything below this stay within single precision.
MAX_PEAK = 1e6


def checked(
    samples: npt.NDArray[np.floating], rate: int, needed: int, reason: str
) -> npt.NDArray[np.float32]:
    """Refuse what is not one finite channel that holds sound and is long enough.

    Parameters
    ----------
    samples : array, (n,)
        Full scale 1.
    rate : int
        Samples per second.
    needed : int
        Samples that there have to be at least.
    reason : str
        What needs them, for the message.

    Returns
    -------
    float32 array, (n,)

    Raises
    ------
    FeatureError

    Examples
    --------
    >>> checked(np.array([0.0, 0.5]), 8000, 1, "one frame needs a sample")
    array([0. , 0.5], dtype=float32)
    """
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise FeatureError(
            f"samples of shape {samples.shape}: one channel is needed, a 1-D array; "
            "average the channels first"
        )
    if not np.issubdtype(samples.dtype, np.floating):
        raise FeatureError(
            f"samples of type {samples.dtype}: floating-point samples are needed, full scale 1"
        )
    n = len(samples)
    if n == 0:
        raise FeatureError("no samples: the audio is empty")
    if n < needed:
        raise FeatureError(
            f"too short: {n / rate:.3f} s ({n} samples at {rate} Hz); {reason}, "
            f"which is {needed / rate:.3f} s ({needed} samples)"
        )
    finite = np.isfinite(samples)
    if not finite.all():
        raise FeatureError(
            f"{n - np.count_nonzero(finite)} of {n} samples are NaN or infinite, "
            f"the first at {int(np.argmin(finite)) / rate:.3f} s"
        )
    peak = float(np.abs(samples).max())
    if peak == 0:
        raise FeatureError(
            f"silence: all {n} samples ({n / rate:.3f} s) are zero; no voice is there"
        )
    if peak > MAX_PEAK:
        raise FeatureError(f"samples reach {peak:.3g}: full scale is 1")
    return np.ascontiguousarray(samples, dtype=np.float32)
