"""Functionals: some three thousand statistics of one voice, chosen for small training sets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import StrictBool

from emodask.features import Family
from emodask.features.audio.further_rows import VariantSettings, with_variants
from emodask.features.audio.sound import checked
from emodask.features.voice.curves import N_MFCC, SPECTRAL, VOICED, Curves, curves
from emodask.features.voice.cycles import PERTURBATIONS, cycles, perturbation
from emodask.features.voice.short_time import HOP_LENGTH, N_MELS, RATE, Doubles
from emodask.features.voice.statistics import (
    FUNCTIONALS,
    RUNS,
    contour,
    functionals,
    log_covariance,
    of_runs,
    runs,
)

SHORTEST = 0.3
"""Seconds that a clip has to have at least."""

_SPEECH_LEVEL = 1.75 * np.log(10)  # 35 dB below the loudest
_ACTIVE_LEVEL = 4.0
_VOICED_AT_LEAST = 4
_MODULATION_EDGES = (0.3, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 25.0)
_MODULATED = 8
_MODULATION_N_FFT = 1024
_COVARIED = 13
_DECILES = (10, 50, 90)

# Most of it for the padded frames of 50 ms whose autocorrelation gives the pitch. Measured.
_BYTES_A_SAMPLE = 400


class Settings(VariantSettings):
    """Keys of a job's ``[features.functionals]`` table.

    Attributes
    ----------
    cycles : bool
        Seven numbers more: jitter and shimmer from one cycle of the voice to the next.
    """

    LATER: ClassVar[frozenset[str]] = VariantSettings.LATER | {"cycles"}

    cycles: StrictBool = False


def voice_functionals(
    samples: npt.NDArray[np.floating], with_cycles: bool = False
) -> dict[str, npt.NDArray[np.float64]]:
    """Statistics of a voice, by group.

    Parameters
    ----------
    samples : floating-point array, (n,)
        Mono, at 16 kHz, full scale 1.
    with_cycles : bool
        Whether the group ``cycles`` is wanted.

    Returns
    -------
    dict of str to float64 array
        In a fixed order, each of a fixed length; :data:`NAMES` has a name for each number, and
        :data:`CYCLE_NAMES` for those of ``cycles``, which come last.

    Raises
    ------
    FeatureError
        If the samples are not one finite channel of at least 0.3 s that holds sound.
    """
    needed = round(SHORTEST * RATE)
    sound = checked(samples, RATE, needed, "functionals need some syllables")
    whole = curves(sound)
    speech = _speech(whole)
    energy = speech.spectral[:, SPECTRAL.index("energy")]
    active = energy > np.percentile(energy, 98) - _ACTIVE_LEVEL
    voiced = speech.voiced if speech.voiced.sum() >= _VOICED_AT_LEAST else active
    deltas = np.gradient(speech.mfcc, axis=0)
    loud_mel = speech.mel[active]
    cepstra = np.concatenate([speech.mfcc[:, :_COVARIED], deltas[:, :_COVARIED]], axis=1)
    pitch = speech.vocal[:, :1]
    prosody = np.concatenate(
        [
            pitch,
            speech.spectral[:, :2],
            speech.voiced[:, None].astype(float),
            speech.vocal[:, 4:7],
        ],
        axis=1,
    )
    groups = {
        "active": functionals(speech.spectral[active]).ravel(),
        "active_mfcc": functionals(speech.mfcc[active]).ravel(),
        "active_delta": functionals(deltas[active]).ravel(),
        "active_mel": np.concatenate(
            [
                loud_mel.mean(axis=0),
                loud_mel.std(axis=0),
                *np.percentile(loud_mel, _DECILES, axis=0),
            ]
        ),
        "voiced": functionals(speech.vocal[voiced]).ravel(),
        "voiced_spectral": functionals(speech.spectral[voiced]).ravel(),
        "voiced_mfcc": functionals(speech.mfcc[voiced]).ravel(),
        "timing": _timing(speech, active),
        "perturbation": _perturbation(speech),
        "modulation": _modulation(speech.mel).ravel(),
        "covariance": log_covariance(cepstra[active]),
        "contour_prosody": contour(prosody, 16).ravel(),
        "contour_mfcc": contour(speech.mfcc[:, :_COVARIED], 16).ravel(),
        "contour_spectral": contour(speech.spectral[:, 2:], 10).ravel(),
        "contour_mel": contour(speech.mel.reshape(len(speech), -1, 2).mean(axis=2), 16).ravel(),
    }
    if with_cycles:
        found = cycles(sound.astype(np.float64), whole.frequency, whole.voiced)
        groups["cycles"] = perturbation(found)
    return groups


def _speech(whole: Curves) -> Curves:
    """From the first to the last frame that is as loud as speech."""
    energy = whole.spectral[:, SPECTRAL.index("energy")]
    loud = np.flatnonzero(energy > np.percentile(energy, 98) - _SPEECH_LEVEL)
    return whole.between(int(loud[0]), int(loud[-1]) + 1)


def _timing(speech: Curves, active: npt.NDArray[np.bool_]) -> Doubles:
    """Length, shares of voice and activity, runs of each and the pauses between them."""
    inner = ~active
    inner[: int(np.argmax(active))] = False
    inner[len(active) - int(np.argmax(active[::-1])) :] = False
    voiced_runs, active_runs = runs(speech.voiced), runs(active)
    length = len(speech)
    return np.array(
        [
            length,
            speech.voiced.mean(),
            active.mean(),
            *of_runs(voiced_runs),
            *of_runs(active_runs),
            *of_runs(runs(inner)),
            len(voiced_runs) / length,
            len(active_runs) / length,
        ]
    )


_TIMING = (
    *("frames", "voiced_share", "active_share"),
    *(f"{what}_{how}" for what in ("voiced_runs", "active_runs", "pauses") for how in RUNS),
    *("voiced_rate", "active_rate"),
)


def _perturbation(speech: Curves) -> Doubles:
    """How unsteady the voice is from frame to frame: of the period, the energy and the pitch."""
    both = speech.voiced[1:] & speech.voiced[:-1]
    pitch = speech.vocal[:, 0]
    period = 2.0 ** (-pitch / 12)
    steps = np.diff(pitch)[both]
    energy = np.diff(speech.spectral[:, SPECTRAL.index("energy")])[both]
    changes = (
        np.abs(np.diff(period))[both] / period.mean(),
        np.abs(energy),
        steps[steps > 0],
        -steps[steps < 0],
    )
    return np.concatenate([_of_changes(change) for change in changes])


_PERTURBATION = tuple(
    f"{what}_{how}"
    for what in ("period_change", "energy_change", "rise", "fall")
    for how in ("mean", "deviation", "median", "percentile_90")
)


def _of_changes(changes: Doubles) -> Doubles:
    if not len(changes):
        return np.zeros(4)
    return np.array([changes.mean(), changes.std(), np.median(changes), np.percentile(changes, 90)])


def _modulation(mel: Doubles) -> Doubles:
    """Logarithmic power of the mel bands' ups and downs by modulation frequency, (9, 8).

    Of speech longer than 10 s, its first 10 s.
    """
    bands = mel.reshape(len(mel), _MODULATED, -1).mean(axis=2)[:_MODULATION_N_FFT]
    window = np.hanning(len(bands))[:, None]
    spectrum = np.fft.rfft((bands - bands.mean(axis=0)) * window, _MODULATION_N_FFT, axis=0)
    power = np.abs(spectrum) ** 2 / len(bands)
    frequencies = np.fft.rfftfreq(_MODULATION_N_FFT, HOP_LENGTH / RATE)
    edges = itertools.pairwise(_MODULATION_EDGES)
    inside = [(low <= frequencies) & (high > frequencies) for low, high in edges]
    return np.log(np.stack([power[rows].mean(axis=0) for rows in inside]) + 1e-6)


def _names() -> Iterator[str]:
    mfcc = [f"mfcc_{i}" for i in range(N_MFCC)]

    def statistics(group: str, of: tuple[str, ...] | list[str]) -> Iterator[str]:
        return (f"{group}/{how}/{what}" for how in FUNCTIONALS for what in of)

    def over_time(group: str, points: int, of: tuple[str, ...] | list[str]) -> Iterator[str]:
        return (f"{group}/{point}/{what}" for point in range(points) for what in of)

    yield from statistics("active", SPECTRAL)
    yield from statistics("active_mfcc", mfcc)
    yield from statistics("active_delta", mfcc)
    levels = ("mean", "deviation", *(f"percentile_{q}" for q in _DECILES))
    yield from (f"active_mel/{how}/mel_{band}" for how in levels for band in range(N_MELS))
    yield from statistics("voiced", VOICED)
    yield from statistics("voiced_spectral", SPECTRAL)
    yield from statistics("voiced_mfcc", mfcc)
    yield from (f"timing/{name}" for name in _TIMING)
    yield from (f"perturbation/{name}" for name in _PERTURBATION)
    yield from (
        f"modulation/{low:g}-{high:g}_hz/band_{band}"
        for low, high in itertools.pairwise(_MODULATION_EDGES)
        for band in range(_MODULATED)
    )
    covaried = [*mfcc[:_COVARIED], *(f"delta_{name}" for name in mfcc[:_COVARIED])]
    yield from (
        f"covariance/{left}/{right}" for i, left in enumerate(covaried) for right in covaried[i:]
    )
    prosody = ("pitch", "energy", "harmonicity", "voiced", *VOICED[4:7])
    yield from over_time("contour_prosody", 16, prosody)
    yield from over_time("contour_mfcc", 16, mfcc[:_COVARIED])
    yield from over_time("contour_spectral", 10, SPECTRAL[2:])
    yield from over_time("contour_mel", 16, [f"band_{i}" for i in range(N_MELS // 2)])


NAMES = tuple(_names())
CYCLE_NAMES = tuple(f"cycles/{name}" for name in PERTURBATIONS)


def _compute(
    samples: npt.NDArray[np.floating], settings: Settings, seed: int
) -> npt.NDArray[np.float32]:
    groups = voice_functionals(samples, settings.cycles)
    return np.concatenate(list(groups.values()), dtype=np.float32)


def _numbers(settings: Settings) -> tuple[str, ...]:
    return NAMES + CYCLE_NAMES if settings.cycles else NAMES


FAMILY = with_variants(
    Family(
        modality="audio",
        settings=Settings,
        dims=lambda settings: {"functional": len(_numbers(settings))},
        decode=lambda settings: {"rate": RATE},
        compute=_compute,
        memory=lambda settings, count: _BYTES_A_SAMPLE * count,
        coords=lambda settings: {"functional": _numbers(settings)},
    )
)
