"""How a face moves through a clip: each facial amount as a curve over the frames."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from emodask.sources.synth.acting import FACE_FIELDS, Performance

Curves = Mapping[str, npt.NDArray[np.float64]]
"""One curve over the frames for each of `FACE_FIELDS`, ``blink mouth rounding roll dx dy``."""


def move(
    performance: Performance,
    mouth: npt.NDArray[np.float64],
    rounding: npt.NDArray[np.float64],
    fps: float,
    rng: np.random.Generator,
) -> Curves:
    """Curves of everything that moves.

    The expression grows from the resting face after the emotion's onset, holds with a slow wobble
    and lets go a little at the end. Head movements and blinks come on top; the mouth follows the
    voice.

    Parameters
    ----------
    performance : Performance
        How the clip is played.
    mouth, rounding : ndarray, shape (frames,), float64
        What speech does to the mouth at each frame, 0-1.
    fps : float
        Frames a second.
    rng : numpy.random.Generator
        Chance.

    Examples
    --------
    >>> from emodask.sources.synth.acting import Gesture, Prosody
    >>> still = Performance(dict.fromkeys(FACE_FIELDS, 0.5), Gesture(), Prosody())
    >>> curves = move(still, np.zeros(20), np.zeros(20), 30.0, np.random.default_rng(0))
    >>> curves["corner"].shape, bool(curves["corner"][12] > curves["corner"][0])
    ((20,), True)
    """
    n = len(mouth)
    seconds = np.arange(n) / fps
    share = np.arange(n) / max(1, n - 1)
    gesture = performance.gesture
    onset = min(0.6, gesture.onset)
    attack = np.clip((share - 0.4 * onset) / onset, 0.0, 1.0)
    release = np.clip((share - 0.88) / 0.2, 0.0, 1.0)
    envelope = 0.15 + 0.85 * attack**2 * (3 - 2 * attack) - 0.35 * release

    curves = {}
    for field in FACE_FIELDS:
        wobble = gaussian_filter1d(rng.standard_normal(n), 0.25 * fps, mode="nearest")
        curves[field] = performance.face[field] * envelope * (1 + 0.5 * wobble) + 0.06 * wobble

    talking = gaussian_filter1d(mouth, 0.12 * fps, mode="nearest")
    nodding = np.sin(2 * np.pi * (gesture.nod_rate * seconds + rng.uniform()))
    shaking = np.sin(2 * np.pi * (gesture.shake_rate * seconds + rng.uniform()))
    trembling = np.sin(2 * np.pi * (8.5 * seconds + rng.uniform(size=(2, 1))))
    lively = 0.3 + talking
    curves["dy"] = gesture.nod * nodding * lively + 0.12 * gesture.tremor * trembling[0]
    curves["dx"] = gesture.shake * shaking * lively + 0.25 * gesture.tremor * trembling[1]
    sway = gaussian_filter1d(rng.standard_normal(n), 0.4 * fps, mode="nearest")
    curves["roll"] = curves["tilt"] + 0.25 * curves["dx"] + 0.5 * sway
    curves["blink"] = _blinks(gesture.blink_rate, seconds, rng)
    curves["mouth"], curves["rounding"] = mouth, rounding
    return curves


def _blinks(
    rate: float, seconds: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """How far blinks have closed the lids, 0-1: they come at random, a fifth of a second each."""
    closed = np.zeros(len(seconds))
    for start in rng.uniform(0.0, seconds[-1], rng.poisson(rate * seconds[-1])):
        closed = np.maximum(closed, np.exp(-(((seconds - start) / 0.055) ** 2)))
    return closed
