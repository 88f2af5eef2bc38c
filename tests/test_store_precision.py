"""Promises of how numbers are stored: without loss, or in half the bits where a job says so."""

from __future__ import annotations

import copy
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

import emodask
from emodask.clip_features import as_stored
from emodask.clip_rows import compute_clip
from emodask.errors import FeatureError, JobError, StoreError
from emodask.extraction import extract
from emodask.fitting import fit
from emodask.job import digest, parse_job
from emodask.models.system import reduce
from emodask.prediction import predict
from emodask.sources.catalogue import Clip, scan
from emodask.store import (
    Row,
    Status,
    StoreAddress,
    open_group,
    prepare,
    read_rows,
    verify,
    write_batch,
)
from tests.conftest import SMALL

CLIPS = [Clip(f"01-0{e}-01-01-01-01", actor=1, emotion=e, channel=1) for e in range(1, 9)]


def half(**features):
    settings = copy.deepcopy(SMALL)
    for name in features or SMALL["features"]:
        settings["features"][name]["precision"] = features.get(name, "float16")
    return parse_job(settings)


def chunk_digests(store: Path, names: tuple[str, ...]) -> dict[str, str]:
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for name in names
        for path in sorted((store / name / "c").rglob("*"))
        if path.is_file()
    }


def rows_of(job, seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    shapes = {"hog3d": (6, 8, 2, 4, 2), "spline": (8, 272)}
    return [
        Row(Status.DONE, {n: rng.normal(0, 300, s).astype("f4") for n, s in shapes.items()})
        for _ in range(5)
    ]


@pytest.fixture(scope="module")
def half_store(corpus, tmp_path_factory) -> StoreAddress:
    store = tmp_path_factory.mktemp("half") / "store.zarr"
    summary = extract(half(), f"{corpus}/*.zip", store)
    assert (summary.done, summary.total) == (24, 24), summary.failures
    return StoreAddress.of(store)


def test_numbers_come_back_bit_for_bit_by_default(small_job, tmp_path):
    group = prepare(StoreAddress.of(tmp_path / "s.zarr"), small_job, CLIPS)
    rows = rows_of(small_job, 0)
    rows[0].features["spline"][:] = np.float32(1e-40)  # subnormal
    rows[1].features["spline"][:] = np.finfo(np.float32).max
    write_batch(group, 0, rows)
    for row, found in zip(rows, read_rows(group, 0, 5), strict=True):
        for name, values in row.features.items():
            assert found.features[name].tobytes() == values.tobytes()


def test_the_codecs_are_those_that_every_zarr_v3_reader_registers(half_store):
    known = {"bytes", "zstd", "vlen-utf8"}
    for path in Path(half_store.url).glob("*/zarr.json"):
        codecs = json.loads(path.read_text())["codecs"]
        assert {codec["name"] for codec in codecs} <= known, path
        assert codecs[-1] == {"name": "zstd", "configuration": {"level": 1, "checksum": False}}


def test_the_same_numbers_give_the_same_chunks_whatever_writes_at_the_same_time(tmp_path):
    job = half(hog3d="float16")
    stores = [tmp_path / f"{i}.zarr" for i in range(4)]

    def write(store: Path) -> dict[str, str]:
        write_batch(prepare(StoreAddress.of(store), job, CLIPS), 0, rows_of(job, 1))
        return chunk_digests(store, ("hog3d", "spline", "checksum"))

    alone = write(stores[0])
    assert len(alone) == 3
    with ThreadPoolExecutor(3) as workers:
        assert list(workers.map(write, stores[1:])) == [alone] * 3


def test_half_precision_stores_what_the_full_one_rounds_to(small_store, half_store):
    full, less = (zarr.open_group(store.url, mode="r") for store in (small_store, half_store))
    for name in ("hog3d", "spline"):
        assert (full[name].dtype, less[name].dtype) == ("float32", "float16")
        np.testing.assert_array_equal(less[name][:], full[name][:].astype(np.float16))
        assert less[name].nbytes_stored() < 0.7 * full[name].nbytes_stored()


def test_one_feature_alone_can_be_halved(tmp_path):
    group = prepare(StoreAddress.of(tmp_path / "s.zarr"), half(hog3d="float16"), CLIPS)
    assert (group["hog3d"].dtype, group["spline"].dtype) == ("float16", "float32")


def test_the_precision_is_part_of_the_digest_and_another_is_refused_by_name(
    half_store, small_job, corpus
):
    assert digest(half().extraction()) != digest(small_job.extraction())
    with pytest.raises(
        StoreError,
        match=r"features\.hog3d\.precision \(float16 in the store, float32 in this job\)",
    ):
        extract(small_job, f"{corpus}/*.zip", half_store)
    with pytest.raises(StoreError, match="holds the features of another job"):
        emodask.evaluate(small_job, half_store, "nowhere")


@pytest.mark.parametrize("value", ["float64", "bfloat16", 16, "", None])
def test_an_impossible_precision_is_refused_saying_what_would_be_right(value):
    with pytest.raises(
        JobError, match=r"features\.spline\.precision: .*'float32' or 'float16'( \(found .*\))?"
    ):
        half(spline=value)


def test_a_rounded_store_is_sound_and_damage_is_still_found(half_store, tmp_path):
    assert verify(half_store).damage == ()
    job = half()
    address = StoreAddress.of(tmp_path / "s.zarr")
    group = prepare(address, job, CLIPS)
    failed = Row(Status.FAILED, {}, "no such luck")
    write_batch(group, 0, [*rows_of(job, 2)[:4], failed])
    assert verify(address).damage == ()
    group["hog3d"][2, 0, 0, 0, 0, 0] += 1
    assert verify(address).damage == ("row 2: the features are not those that were written",)


def test_a_resumed_run_gives_the_same_bytes_and_keeps_what_was_committed(
    half_store, corpus, tmp_path
):
    job, clips = half(), sorted(scan(f"{corpus}/*.zip").clips, key=lambda clip: clip.clip_id)
    address = StoreAddress.of(tmp_path / "s.zarr")
    extract(job, f"{corpus}/*.zip", address)
    whole = chunk_digests(Path(address.url), ("hog3d", "spline", "checksum"))
    group = open_group(address, "r+")
    rows = read_rows(group, 0, 5)
    # As a run that was stopped between two rows of a retried batch would leave it.
    write_batch(group, 0, [*rows[:2], *(replace(r, status=Status.PENDING) for r in rows[2:])])
    summary = extract(job, f"{corpus}/*.zip", address)
    assert (summary.computed, summary.done) == (3, len(clips))
    again = chunk_digests(Path(address.url), ("hog3d", "spline", "checksum"))
    assert again == whole == chunk_digests(Path(half_store.url), ("hog3d", "spline", "checksum"))


def test_a_prediction_sees_the_numbers_that_training_saw(half_store, corpus, tmp_path):
    job = half()
    clip = scan(f"{corpus}/*.zip").clips[3]
    row = compute_clip(job, clip)
    stored = zarr.open_group(half_store.url, mode="r")
    place = [str(name) for name in stored["clip_id"][:]].index(clip.clip_id)
    for name, values in row.features.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, stored[name][place].astype(np.float32))

    bundle = fit(job, half_store, tmp_path / "bundle")
    arrays = {name: stored[name][place : place + 1] for name in bundle.model.features}
    expected = bundle.model.predict_proba(reduce(bundle.reducers, arrays))[0]
    verdicts = {v.clip: v for v in predict(tmp_path / "bundle", f"{corpus}/*.zip")}
    assert verdicts[clip.clip_id].error == ""
    np.testing.assert_allclose(list(verdicts[clip.clip_id].probabilities.values()), expected)


def test_rounding_is_to_even_and_repeating_it_changes_nothing():
    values = np.array([1 + 2**-11, 1 + 3 * 2**-11, 0.1, -700.3, 6e-8, 1e-9], np.float32)
    once = as_stored(values, "float16")
    assert once[:2].tolist() == [1.0, 1 + 2**-9]
    np.testing.assert_array_equal(as_stored(once, "float16"), once)
    np.testing.assert_allclose(once[2:4], values[2:4], rtol=2**-11)
    assert as_stored(values, "float32") is values


def test_a_number_that_half_precision_cannot_hold_is_an_error_not_infinity():
    with pytest.raises(
        FeatureError, match=r'spline reaches 7e\+04, and float16 ends at 65504; .*"float32"'
    ):
        as_stored(np.array([1.0, -70_000.0], np.float32), "float16", "spline")
