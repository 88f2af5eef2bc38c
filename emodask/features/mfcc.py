"""MFCC of the first seconds of a voice, frame by frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from emodask.features import Family, FamilySettings
from emodask.features.audio import descriptors
from emodask.features.audio.sound import checked
from emodask.features.audio.stft import frame_count, magnitudes

# Magnitudes and powers of 1025 numbers every 512 samples: 12 to 17 measured, and room to spare.
_BYTES_A_SAMPLE = 30


class Settings(FamilySettings):
    """Keys of a job's ``[features.mfcc]`` table.

    Attributes
    ----------
    rate : int
        Samples per second.
    seconds : float
        How much of a clip, from its start; a shorter one goes on in silence.
    coefficients : int
        Cepstral coefficients of a frame.
    """

    rate: int = Field(default=8000, ge=4000, le=192_000)
    seconds: float = Field(default=4.0, gt=0, le=60)
    coefficients: int = Field(default=40, ge=1, le=128)

    @property
    def frames(self) -> int:
        """Frames of 2048 samples, every 512."""
        return frame_count(round(self.seconds * self.rate))


def mfcc_frames(
    samples: npt.NDArray[np.floating], rate: int, seconds: float = 4.0, coefficients: int = 40
) -> npt.NDArray[np.float32]:
    """Cepstral coefficients of each frame of the first seconds.

    Parameters
    ----------
    samples : floating-point array, (n,)
        Mono, full scale 1.
    rate : int
        Samples per second.
    seconds : float
        What is beyond is left out; what is missing is silence.
    coefficients : int

    Returns
    -------
    float32 array, (frames, coefficients)
        The equal of ``librosa.feature.mfcc`` with its defaults, transposed.

    Raises
    ------
    FeatureError
        If the samples are not one finite channel that holds sound.

    Examples
    --------
    >>> mfcc_frames(np.sin(np.arange(16000) / 5), 8000).shape
    (63, 40)
    """
    length = round(seconds * rate)
    signal = checked(samples, rate, 1, "a frame needs a sample")[:length]
    padded = np.pad(signal, (0, length - len(signal)))
    return np.ascontiguousarray(descriptors.mfcc(magnitudes(padded) ** 2, rate, coefficients).T)


FAMILY = Family(
    modality="audio",
    settings=Settings,
    dims=lambda settings: {"frame": settings.frames, "coefficient": settings.coefficients},
    decode=lambda settings: {"rate": settings.rate, "seconds": settings.seconds},
    compute=lambda samples, settings, seed: mfcc_frames(
        samples, settings.rate, settings.seconds, settings.coefficients
    ),
    memory=lambda settings, count: _BYTES_A_SAMPLE * count,
)
