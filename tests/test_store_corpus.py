"""The store's corpus column: readable by anybody, and stores from before it go on as they are."""

from __future__ import annotations

import numpy as np
import pytest
import xarray
import zarr

import emodask
from emodask.errors import StoreError
from emodask.evaluation.clips import usable_clips
from emodask.extraction import extract
from emodask.job import parse_job
from emodask.sources.catalogue import Clip
from emodask.store import StoreAddress, open_group, prepare, verify, writing
from tests.media_files import tone, wav, zip_of

JOB = parse_job(
    {
        "name": "voice",
        "data": {"batch": 2},
        "features": {"spline": {"knots": 6}},
        "models": {"svc": {"kind": "svc"}},
        "evaluation": {"protocols": ["loso"]},
    }
)
RAVDESS = {f"03-01-{e:02d}-01-01-01-01.wav": wav(tone(0.5, pitch=90 * e)) for e in (3, 5)}
TESS = {
    f"YAF_dog_{e}.wav": wav(tone(0.5, 24_414, p), 24_414) for e, p in (("ps", 260), ("sad", 190))
}


@pytest.fixture
def media(tmp_path):
    return str(zip_of(tmp_path / "both.zip", {**RAVDESS, **TESS}))


def without_corpus(monkeypatch) -> None:
    """Write stores as they were before they had the column."""
    specs = writing.specs
    monkeypatch.setattr(
        writing, "specs", lambda job, n: [s for s in specs(job, n) if s.name != "corpus"]
    )
    monkeypatch.setattr(writing, "NAMES", ("clip_id",))
    monkeypatch.setattr(writing, "IDENTITY", ("clip_id", *writing.CODES))


def test_the_corpus_of_each_row_is_read_without_emodask(media, tmp_path):
    assert extract(JOB, media, tmp_path / "s.zarr").done == 4
    plain = xarray.open_zarr(tmp_path / "s.zarr")
    assert plain["corpus"].values.tolist() == ["ravdess", "ravdess", "tess", "tess"]
    assert plain["actor"].values.tolist() == [1, 1, 102, 102]
    assert plain["corpus"].dims == ("clip",)
    assert "corpus" in plain.coords
    assert plain.isel(clip=(plain.corpus == "tess").values)["spline"].shape[0] == 2
    assert plain.identical(emodask.open(str(tmp_path / "s.zarr")))


def test_a_store_from_before_the_column_goes_on_and_names_tell_its_corpora(
    media, tmp_path, monkeypatch
):
    address = StoreAddress.of(tmp_path / "s.zarr")
    with monkeypatch.context() as before:
        without_corpus(before)
        assert extract(JOB, media, address).done == 4
    assert "corpus" not in open_group(address)
    again = extract(JOB, media, address)
    assert (again.done, again.computed) == (4, 0)
    assert verify(address).damage == ()
    corpora = usable_clips(JOB, address).identities.corpus
    assert corpora.tolist() == ["ravdess", "ravdess", "tess", "tess"]
    new = StoreAddress.of(tmp_path / "new.zarr")
    extract(JOB, media, new)
    for name in ("spline", "checksum", "clip_id", "actor"):
        assert np.array_equal(open_group(address)[name][:], open_group(new)[name][:])


def test_another_corpus_of_the_same_clips_is_refused_by_name(tmp_path):
    address = StoreAddress.of(tmp_path / "s.zarr")
    prepare(address, JOB, [Clip("a", 1, 3, corpus="mine")])
    with pytest.raises(StoreError, match="corpus of a is 'mine' in the store and 'yours' in the"):
        prepare(address, JOB, [Clip("a", 1, 3, corpus="yours")])


def test_the_column_is_a_plain_zarr_v3_array(tmp_path):
    prepare(StoreAddress.of(tmp_path / "s.zarr"), JOB, [Clip("a", 1, 3, corpus="mine")])
    array = zarr.open_group(tmp_path / "s.zarr", mode="r")["corpus"]
    assert array.metadata.zarr_format == 3
    assert array.metadata.dimension_names == ("clip",)
    assert list(array[:]) == ["mine"]
