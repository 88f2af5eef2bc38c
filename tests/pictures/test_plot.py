"""emodask plot: pictures that can be used, and a line for each that cannot be drawn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image

from emodask.errors import EmodaskError, SourceError, UsageError
from emodask.evaluation.evaluate import evaluate
from emodask.extraction import extract
from emodask.job import parse_job
from emodask.pictures.plotting import BASIS, plot
from emodask.pictures.reading import recorded_sources
from emodask.pictures.stored import StoredFeatures
from emodask.store import Status, StoreAddress, attributes, open_group
from tests.conftest import SMALL
from tests.test_cli import emodask  # noqa: F401  fixture

CLIP = "01-05-01-01-01-02"
KINDS = ["curves.png", "face.png", "gradients.gif", "voice.png"]


@pytest.fixture
def digest(small_store) -> str:
    return attributes(open_group(small_store))["digest"]


def record(folder: Path, digest: str, sources: list[str]) -> None:
    about = {"sources": sources, "job": {"extraction_digest": digest}}
    (folder / "run.json").write_text(json.dumps(about))


@pytest.fixture
def own_store(small_store, tmp_path) -> Path:
    """A link to the store in a folder of its own, where a record may be put beside it."""
    (tmp_path / "result").mkdir()
    store = tmp_path / "result" / "store.zarr"
    store.symlink_to(small_store.url)
    return store


def test_a_clip_becomes_pictures_that_open(small_store, corpus, tmp_path):
    (found,) = plot(small_store, tmp_path, [CLIP], [f"{corpus}/*.zip"])
    assert (found.clip.emotion, found.left_out, found.failed) == ("angry", (), False)
    assert sorted(found.files) == [f"{CLIP}-{kind}" for kind in KINDS]
    for path in tmp_path.iterdir():
        picture = Image.open(path)
        assert min(picture.size) > 200, path
        assert np.ptp(np.asarray(picture.convert("L"))) > 100, path
    assert {path.name for path in tmp_path.iterdir()} == {*found.files, BASIS}


def test_by_default_one_clip_of_each_emotion_is_drawn(small_store):
    chosen = StoredFeatures.at(small_store).one_of_each_emotion()
    assert [clip.clip_id[3:5] for clip in chosen] == [f"{code:02}" for code in range(1, 9)]


@pytest.mark.parametrize("name", [f"03-{CLIP}.wav", f"x/02-{CLIP}.mp4", f"03-{CLIP}", CLIP])
def test_a_clip_may_be_named_by_one_of_its_files(small_store, name):
    (clip,) = StoredFeatures.at(small_store).named([name])
    assert clip.clip_id == CLIP


def test_the_record_beside_the_store_says_where_the_media_lie(own_store, corpus, digest, tmp_path):
    address = StoreAddress.of(own_store)
    record(own_store.parent, digest, ["a.zip", "s3://bucket/b.zip", "*.nothing"])
    (own_store.parent / "media").mkdir()
    (own_store.parent / "media" / "a.zip").touch()
    found = recorded_sources(address, digest)
    assert found == [str(own_store.parent / "media" / "a.zip"), "s3://bucket/b.zip"]
    record(own_store.parent, digest, ["gone.zip"])
    with pytest.raises(SourceError, match=r"made from gone\.zip, not found beside it or here"):
        recorded_sources(address, digest)
    record(own_store.parent, "another", ["a.zip"])
    with pytest.raises(SourceError, match=r"no run\.json beside the store"):
        recorded_sources(address, digest)


def test_the_command_draws_what_it_can_and_says_what_is_left_out(emodask, own_store, tmp_path):  # noqa: F811
    out = tmp_path / "pictures"
    code, said, _ = emodask("plot", own_store, "--clip", CLIP, "--out", out)
    assert code == 0
    assert f"{CLIP} angry: face.png, curves.png" in said
    assert "left out, voice: no run.json beside the store says where its media lie" in said
    assert sorted(path.name for path in out.iterdir()) == [
        f"{CLIP}-curves.png",
        f"{CLIP}-face.png",
        BASIS,
    ]


def test_an_unknown_clip_is_refused_with_the_nearest_before_anything_is_written(
    emodask,  # noqa: F811
    small_store,
    tmp_path,
):
    out = tmp_path / "pictures"
    code, _, said = emodask("plot", small_store.url, "--clip", "03-01-05-01-01-01-09", "--out", out)
    assert code == 2
    assert "no clip '03-01-05-01-01-01-09' among its 24; the nearest: 01-05-01-01-01-0" in said
    assert not out.exists()


def test_a_failed_clip_says_its_reason_and_exits_with_1(emodask, small_store, tmp_path):  # noqa: F811
    import shutil

    store = tmp_path / "store.zarr"
    shutil.copytree(small_store.url, store)
    group = zarr.open_group(store)
    names = [str(name) for name in group["clip_id"][:]]
    group["status"][names.index(CLIP)] = Status.FAILED
    errors = group["error"][:]
    errors[names.index(CLIP)] = "a.zip/x.mp4: decode: it breaks off"
    group["error"][:] = errors
    out = tmp_path / "pictures"
    code, said, _ = emodask(
        "plot", store, "--clip", CLIP, "--clip", "01-06-01-01-01-02", "--out", out
    )
    assert code == 1
    assert f"{CLIP}: its extraction failed: a.zip/x.mp4: decode: it breaks off" in said
    assert "pictures of 1 clip" in said
    assert not list(out.glob(f"{CLIP}*"))
    assert list(out.glob("01-06*"))


def test_a_picture_is_there_whole_or_not_at_all(small_store, tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(EmodaskError, match="pictures cannot be written: no space left on device"):
        plot(small_store, tmp_path / "out", [CLIP])
    assert list((tmp_path / "out").iterdir()) == []


def test_pictures_go_to_a_bucket_as_well(small_store):
    import fsspec

    (found,) = plot(small_store, "memory://pictures", [CLIP])
    written = fsspec.filesystem("memory").ls("/pictures", detail=False)
    assert sorted(path.rpartition("/")[2] for path in written) == sorted([*found.files, BASIS])


def test_a_store_of_tables_alone_has_nothing_to_draw(small_store, tmp_path, monkeypatch):
    monkeypatch.setattr(
        StoredFeatures, "at", classmethod(lambda cls, a, at=StoredFeatures.at: _blind(at(a)))
    )
    with pytest.raises(UsageError, match="only faces and voices can"):
        plot(small_store, tmp_path)


def _blind(features: StoredFeatures) -> StoredFeatures:
    from dataclasses import replace

    return replace(features, face="", spline="", voice="")


def test_a_store_with_variants_is_drawn_and_described_as_the_clips_themselves(corpus, tmp_path):
    spline = {**SMALL["features"]["spline"], "variants": ["noise20"]}
    job = parse_job(
        {
            **SMALL,
            "features": {"spline": spline},
            "reductions": {"spline": SMALL["reductions"]["spline"]},
            "models": {"lda": {"kind": "lda"}},
            "evaluation": {"protocols": ["loso"]},
        }
    )
    sources = f"{corpus}/Audio*.zip"
    store = StoreAddress.of(tmp_path / "s.zarr")
    extract(job, sources, store)
    (found,) = plot(store, tmp_path / "out", [CLIP], [sources])
    assert (found.left_out, sorted(found.files)) == (
        (),
        [f"{CLIP}-curves.png", f"{CLIP}-voice.png"],
    )
    metrics = evaluate(job, store, tmp_path / "report", pictures=False)
    described = metrics["reductions"]["spline"]
    assert [dim["name"] for dim in described["dims"]] == ["basis", "feature"]
    assert described["modes"][-1]["labels"][0].startswith("noise/")


@pytest.mark.parametrize("name", ["../../escaped", "/escaped", "s02/take1"])
def test_names_of_clips_are_never_paths(small_store, tmp_path, name):
    store = tmp_path / "s.zarr"
    shutil.copytree(small_store.url, store)
    names = zarr.open_group(str(store))["clip_id"]
    names[0] = name
    (found,) = plot(StoreAddress.of(store), tmp_path / "out", [name], [])
    assert not found.failed
    assert found.files
    written = {path for path in tmp_path.rglob("*.png") if store not in path.parents}
    assert {path.parent for path in written} == {tmp_path / "out"}
