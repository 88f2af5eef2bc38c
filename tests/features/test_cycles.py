"""Promises of jitter and shimmer: those of pulses whose periods and heights are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from emodask.features.functionals import CYCLE_NAMES, voice_functionals
from emodask.features.voice.cycles import PERTURBATIONS, Cycles, cycles, perturbation
from emodask.features.voice.pitch import track
from emodask.features.voice.short_time import RATE


def pulses(periods: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Short pulses at times between samples; periods in samples."""
    at = np.cumsum(np.concatenate([[300.0], periods]))
    time = np.arange(int(at[-1]) + 300)
    off = time[None] - at[:, None]
    return (heights[:, None] * np.exp(-((off / 3) ** 2)) * np.cos(off / 3)).sum(axis=0)


def plain(values: np.ndarray, points: int) -> float:
    """The perturbation quotient as its definition has it, for `points` of 2, 3 or 5."""
    if points == 2:
        off = [abs(b - a) for a, b in itertools.pairwise(values)]
    else:
        reach = points // 2
        spans = [values[i - reach : i + reach + 1] for i in range(reach, len(values) - reach)]
        off = [abs(span[reach] - sum(span) / points) for span in spans]
    return float(np.mean(off) / np.mean(values))


def found_in(samples: np.ndarray) -> dict[str, float]:
    pitch = track(samples)
    found = perturbation(cycles(samples, pitch.frequency, pitch.voiced))
    return dict(zip(PERTURBATIONS, found, strict=True))


@pytest.mark.parametrize("period", [40.0, 73.3, 200.0])
def test_jitter_is_that_of_pulses_at_known_times(period: float) -> None:
    periods = period * (1 + 0.015 * np.random.default_rng(0).standard_normal(120))
    found = found_in(pulses(periods, np.ones(121)))
    for name, points in (("jitter_local", 2), ("jitter_rap", 3), ("jitter_ppq5", 5)):
        assert found[name] == pytest.approx(plain(periods, points), rel=0.05), name


@pytest.mark.parametrize("period", [40.0, 100.0])
def test_shimmer_is_that_of_pulses_of_known_heights(period: float) -> None:
    heights = 1 + 0.1 * np.random.default_rng(1).standard_normal(121)
    found = found_in(pulses(np.full(120, period), heights))
    for name, points in (("shimmer_local", 2), ("shimmer_apq3", 3), ("shimmer_apq5", 5)):
        assert found[name] == pytest.approx(plain(heights, points), rel=0.05), name
    decibels = np.abs(20 * np.diff(np.log10(heights))).mean()
    assert found["shimmer_local_db"] == pytest.approx(decibels, rel=0.05)
    assert found["jitter_local"] < 1e-3


def test_steady_pulses_have_neither() -> None:
    found = found_in(pulses(np.full(120, 80.0), np.ones(121)))
    assert max(found.values()) < 1e-3


def test_stretches_are_not_compared_with_one_another() -> None:
    gap = np.zeros(RATE // 4)
    low, high = (pulses(np.full(60, period), np.ones(61)) for period in (120.0, 60.0))
    found = found_in(np.concatenate([low, gap, 3 * high, gap, low]))
    assert found["jitter_local"] < 2e-3
    assert found["shimmer_local"] < 0.02


def test_a_mark_gone_astray_is_left_out() -> None:
    period = np.full(50, 0.005)
    period[20] = 0.0095
    heights = np.ones(50)
    heights[30] = 4.0
    assert perturbation(Cycles(period, heights)).tolist() == [0.0] * len(PERTURBATIONS)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_too_few_cycles_have_none(count: int) -> None:
    found = perturbation(Cycles(np.full(count, 0.005), np.ones(count)))
    assert found.tolist() == [0.0] * len(PERTURBATIONS)


def test_they_join_the_functionals_on_request_alone() -> None:
    samples = pulses(np.full(150, 100.0), np.ones(151))
    without, with_cycles = voice_functionals(samples), voice_functionals(samples, with_cycles=True)
    assert [*without, "cycles"] == list(with_cycles)
    assert len(with_cycles["cycles"]) == len(CYCLE_NAMES) == 7
    for group, numbers in without.items():
        assert np.array_equal(numbers, with_cycles[group])
