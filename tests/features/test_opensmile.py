"""Promises of openSMILE's sets: its own numbers under its own names, imported on request alone."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import emodask
from emodask.errors import FeatureError, JobError
from emodask.extraction import extract
from emodask.features import family
from emodask.features import opensmile as module
from emodask.features.opensmile import SIZES, feature_names, opensmile_functionals
from emodask.job import load_job, parse_job
from emodask.models.system import make_reducer
from tests.media_files import tone, wav
from tests.oracles import audio as oracle

RATE = 16_000


@pytest.fixture(scope="module")
def smile():
    """The package; skips where it is absent, fails in CI."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import opensmile
    except ModuleNotFoundError:
        message = "opensmile is not installed; pip install 'emodask[opensmile]'"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return opensmile


@pytest.fixture
def voice() -> np.ndarray:
    return oracle.voiced()[:RATE].astype(np.float32)


@pytest.fixture
def absent(monkeypatch):
    """As if the package were not installed."""
    module._smile.cache_clear()
    monkeypatch.setitem(sys.modules, "opensmile", None)
    yield
    module._smile.cache_clear()


@pytest.mark.parametrize("name", SIZES)
def test_numbers_and_names_are_the_packages_own(smile, voice, name: str) -> None:
    expected = smile.Smile(
        getattr(smile.FeatureSet, name), smile.FeatureLevel.Functionals
    ).process_signal(voice, RATE)
    found = opensmile_functionals(voice, RATE, name)
    assert found.shape == (SIZES[name],)
    assert found.tobytes() == expected.to_numpy(np.float32).tobytes()
    assert feature_names(name) == tuple(expected.columns)


def test_the_same_sound_gives_the_same_bytes(smile, voice) -> None:
    first, second = (opensmile_functionals(voice.copy(), RATE, "ComParE_2016") for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_full_scale_is_clipped_and_does_not_wrap_around(smile, voice) -> None:
    loud = np.clip(4 * voice / np.abs(voice).max(), -1, 1)
    louder = opensmile_functionals(2 * loud, RATE)
    np.testing.assert_array_equal(opensmile_functionals(np.clip(2 * loud, -1, 1), RATE), louder)
    level = feature_names("eGeMAPSv02").index("equivalentSoundLevel_dBp")
    assert -10 < louder[level] <= 0


@pytest.mark.parametrize(
    ("samples", "message"),
    [(np.zeros(RATE), "silence"), (np.ones(1000), "too short: 0.062 s"), (np.zeros(0), "empty")],
)
def test_bad_sound_is_refused_with_a_reason(samples: np.ndarray, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        opensmile_functionals(samples, RATE)


def test_a_store_holds_them_by_name(smile, tmp_path) -> None:
    for actor in (1, 2):
        (tmp_path / f"03-01-05-01-01-01-0{actor}.wav").write_bytes(wav(tone(1)))
    job = parse_job(
        {
            "name": "j",
            "features": {"opensmile": {"set": "eGeMAPSv02", "variants": ["noise20"]}},
            "models": {"logistic": {"kind": "logistic"}},
        }
    )
    summary = extract(job, str(tmp_path), tmp_path / "store.zarr")
    assert (summary.done, summary.total) == (2, 2), summary.failures
    data = emodask.open(tmp_path / "store.zarr")
    assert data["opensmile"].dims == ("clip", "variant", "opensmile_functional")
    assert data["opensmile_functional"].values.tolist() == list(feature_names("eGeMAPSv02"))
    assert np.isfinite(data["opensmile"].values).all()


def test_without_the_package_extraction_is_refused_at_once_with_the_licence(
    absent, tmp_path
) -> None:
    (tmp_path / "03-01-05-01-01-01-01.wav").write_bytes(wav(tone(1)))
    job = load_job("opensmile")
    message = r"pip install 'emodask\[opensmile\]'. It comes under audEERING's research licence"
    with pytest.raises(JobError, match=message):
        extract(job, str(tmp_path), tmp_path / "store.zarr")
    assert not (tmp_path / "store.zarr").exists()
    settings = job.features["opensmile"].settings
    with pytest.raises(FeatureError, match="opensmile is not installed"):
        family("opensmile").compute(np.sin(np.arange(RATE) / 9), settings, 0)


def test_small_numbers_beside_huge_ones_keep_their_precision() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([1e11 * rng.normal(size=50), 3 + 0.1 * rng.normal(size=50)], axis=1)
    job = load_job("opensmile")
    found = make_reducer(job, "opensmile").fit(values).transform(values.astype(np.float32))
    np.testing.assert_allclose(found[:, 1] / found[0, 1], values[:, 1] / values[0, 1], rtol=1e-6)


def test_nothing_else_imports_it() -> None:
    code = (
        "import sys; from emodask.job import load_job; from emodask.job_files import shipped_jobs\n"
        "from emodask.features import family, family_names\n"
        "[family(name) for name in family_names()]; [load_job(name) for name in shipped_jobs()]\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'opensmile'])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
