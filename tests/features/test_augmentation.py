"""Promises of variants: what their names say, of the same seed the same, the clip itself first."""

from __future__ import annotations

import numpy as np
import pytest

from emodask.clip_features import features_of_bytes
from emodask.errors import FeatureError, JobError
from emodask.features import family
from emodask.features.audio.augmentation import augmented, parsed
from emodask.features.voice.pitch import track
from emodask.features.voice.short_time import RATE
from emodask.job import digest, parse_job
from emodask.memory import ClipShape, plan_memory
from emodask.models.system import without_variants
from emodask.store import specs
from tests.media_files import wav

MODELS = {"ridge": {"kind": "ridge"}}
VARIANTS = ("noise20", "pitch+4", "speed1.25", "resample0.8")


def voice(seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (sum(np.sin(2 * np.pi * 200 * k * time) / k for k in (1, 2, 3)) / 4).astype(np.float32)


def job_with(name: str = "mfcc_statistics", model: dict | None = None, **settings: object):
    models = {"ridge": {"kind": "ridge", **(model or {})}}
    return parse_job({"name": "j", "features": {name: settings}, "models": models})


def pitch_of(samples: np.ndarray) -> float:
    found = track(samples.astype(np.float64))
    return float(np.median(found.frequency[found.voiced]))


def test_variants_are_what_their_names_say() -> None:
    samples = voice()
    noisy, higher, faster, larger = augmented(samples, RATE, VARIANTS, 0)
    level = np.sqrt(np.square(noisy - samples).mean() / np.square(samples).mean())
    assert level == pytest.approx(0.1, rel=0.02)
    assert [len(made) for made in (noisy, higher, faster, larger)] == [16000, 16000, 12800, 20000]
    assert pitch_of(higher) == pytest.approx(200 * 2 ** (4 / 12), rel=0.01)
    assert pitch_of(faster) == pytest.approx(200, rel=0.01)
    assert pitch_of(larger) == pytest.approx(160, rel=0.01)


def test_noise_follows_the_seed_and_each_of_two_is_its_own() -> None:
    samples, names = voice(0.2), ("noise20", "noise20.0")
    first, second = augmented(samples, RATE, names, 3)
    again, other = (next(augmented(samples, RATE, names, seed)) for seed in (3, 4))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() not in (second.tobytes(), other.tobytes())


@pytest.mark.parametrize("name", ["echo", "pitch+20", "speed0", "noise", "speed1.2 ", "resample-1"])
def test_a_variant_that_cannot_be_meant_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match="variant"):
        parsed(name)
    with pytest.raises(JobError, match=r"features.mfcc_statistics.variants: (no )?variant '"):
        job_with(variants=[name])
    with pytest.raises(JobError, match="names one twice"):
        job_with(variants=["noise20", "noise20"])


@pytest.mark.parametrize("name", ["functionals", "mfcc_statistics", "spline"])
def test_rows_of_variants_are_the_features_of_their_sound(name: str) -> None:
    feature = job_with(name, variants=VARIANTS).features[name]
    plain = job_with(name).features[name]
    found, samples = family(name), voice(1.5)
    rate = found.decode(plain.settings)["rate"]
    rows = found.compute(samples, feature.settings, 5)
    assert rows.shape == tuple(found.dims(feature.settings).values())
    assert found.coords(feature.settings)["variant"] == ("original", *VARIANTS)
    assert list(found.dims(feature.settings))[1:] == list(found.dims(plain.settings))
    sounds = [samples, *augmented(samples, rate, VARIANTS, 5)]
    for row, sound in zip(rows, sounds, strict=True):
        assert np.array_equal(row, found.compute(sound, plain.settings, 5))


def test_a_variant_that_is_too_short_is_named() -> None:
    feature = job_with("functionals", variants=["speed2"]).features["functionals"]
    with pytest.raises(FeatureError, match=r"variant speed2: too short: 0\.2"):
        family("functionals").compute(voice(0.4), feature.settings, 0)


def test_without_variants_a_job_and_its_store_are_what_they_were() -> None:
    plain, named = job_with(), job_with(variants=[])
    assert "variants" not in plain.extraction()["features"]["mfcc_statistics"]
    assert digest(plain.extraction()) == digest(named.extraction())
    both = job_with(variants=VARIANTS)
    assert digest(plain.extraction()) != digest(both.extraction())
    assert parse_job(both.settings()).features == both.features
    (array,) = (spec for spec in specs(both, 10) if spec.name == "mfcc_statistics")
    assert (array.dims, array.shape) == (("clip", "variant", "statistic"), (10, 5, 157))


def test_prediction_computes_the_clip_alone() -> None:
    job = job_with(variants=VARIANTS)
    sound = wav(voice(), RATE)
    with_variants, _ = features_of_bytes(job, "c", "audio", sound)
    alone, _ = features_of_bytes(without_variants(job), "c", "audio", sound)
    assert alone["mfcc_statistics"].shape == (157,)
    assert np.array_equal(with_variants["mfcc_statistics"][0], alone["mfcc_statistics"])


def test_memory_is_planned_for_rows_and_sound_of_variants() -> None:
    plain, both = (
        plan_memory(job_with(variants=names), ClipShape(), batch=12)
        for names in ([], ["noise20", "speed0.5"])
    )
    assert both.rows == 3 * plain.rows
    assert both.kernels > 2 * plain.kernels


def test_features_that_differ_in_variants_cannot_share_a_job() -> None:
    features = {
        "mfcc_statistics": {"variants": ["noise20"]},
        "functionals": {"variants": ["noise10"]},
    }
    with pytest.raises(JobError, match=r"functionals.variants: noise10; but those of mfcc"):
        parse_job({"name": "j", "features": features, "models": MODELS})


def test_training_on_variants_that_no_feature_has_is_refused() -> None:
    with pytest.raises(JobError, match=r"models.ridge.augment: none of its features has variants"):
        job_with(model={"augment": True})
    fusion = {"a": {"kind": "ridge"}, "b": {"kind": "ridge"}}
    fusion["f"] = {"kind": "fusion", "members": ["a", "b"], "augment": True}
    with pytest.raises(JobError, match=r"models.f.augment: a fusion has none; set it on its"):
        parse_job({"name": "j", "features": {"functionals": {}}, "models": fusion})


def test_no_reduction_runs_over_variants() -> None:
    settings = {
        "name": "j",
        "features": {"spline": {"variants": ["noise20"]}},
        "reductions": {"spline": {"dims": ["variant"], "ranks": [1]}},
        "models": MODELS,
    }
    with pytest.raises(JobError, match=r"no dimension 'variant'; there are basis, feature"):
        parse_job(settings)
