"""Promises of features from frozen networks: weights join the job, are never stored, and travel."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from emodask import media, networks
from emodask.cluster import connect
from emodask.errors import (
    BundleError,
    ClusterError,
    JobError,
    MediaError,
    SourceError,
    StoreError,
    UsageError,
)
from emodask.evaluation.evaluate import evaluate
from emodask.extraction import extract
from emodask.features import family
from emodask.features.network.frozen import frozen
from emodask.fitting import fit
from emodask.isolation import Decoder
from emodask.job import Job, load_job, parse_job
from emodask.job_weights import parts_here, read_weights, with_content_of
from emodask.memory import ClipShape, plan_memory
from emodask.memory.limits import _LAZY
from emodask.models.bundle import load_bundle
from emodask.models.bundle_weights import file_of
from emodask.networks import cache, expression, vgg16, xception
from emodask.networks.weights import load
from emodask.prediction import predict
from emodask.store import open_store
from tests.media_files import moving_bars, mp4, zip_of
from tests.networks.conftest import random_part
from tests.servers.web_files import web_files
from tests.test_extraction import as_toml, stored

CLIPS = [f"01-{emotion:02d}-01-01-01-{actor:02d}" for actor in (1, 2, 3) for emotion in (3, 4, 5)]
JOB = {
    "name": "seen",
    "data": {"batch": 4},
    "features": {"expression": {"frames": 2}},
    "models": {"head": {"kind": "conv-head", "parameters": {"epochs": 1}}},
    "evaluation": {"protocols": ["within-actor"]},
}
MEANS = {
    **JOB,
    "features": {"expression": {"frames": 2, "output": "mean"}},
    "models": {"logistic": {"kind": "logistic"}},
}


@pytest.fixture(autouse=True)
def _installed() -> None:
    """Skip where PyTorch is absent; fail in CI."""
    if not networks.installed():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(networks.ABSENT)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_known", {})
    frozen.cache_clear()


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> str:
    """A zip of small videos of three actors."""
    folder = tmp_path_factory.mktemp("clips")
    names = {
        f"Actor/02-{clip}.mp4": mp4(moving_bars(seed=number)) for number, clip in enumerate(CLIPS)
    }
    return str(zip_of(folder / "clips.zip", names))


@pytest.fixture
def weights(tmp_path) -> Path:
    return write(tmp_path / "w.safetensors")


def write(path: Path, layout=expression.LAYOUT, seed: int = 0) -> Path:
    from safetensors.numpy import save

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(save(random_part(layout, seed)))
    return path


def extracted(tmp_path, clips, weights, settings=JOB, name="s.zarr", client=None):
    store = tmp_path / name
    job = parse_job(settings)
    return extract(job, clips, store, client, weights={"expression": weights}), store


def without_cache() -> None:
    for path in cache.folder().glob("*"):
        path.unlink()
    cache._known.clear()
    frozen.cache_clear()


def test_what_is_stored_is_what_the_network_gives_of_the_chosen_frames(tmp_path, clips, weights):
    import torch

    summary, store = extracted(tmp_path, clips, weights)
    assert (summary.done, summary.failures) == (9, ())
    found = open_store(store).expression
    assert found.dims == (
        "clip",
        *("expression_frame", "expression_channel", "expression_y", "expression_x"),
    )
    with zipfile.ZipFile(clips) as archive:  # encoded again, it would be of other bytes
        film = archive.read(f"Actor/02-{CLIPS[0]}.mp4")
    frames = media.gray_frames(film, height=48, width=48, frames=2, every=0)
    module = expression.base()
    module.load_state_dict(
        {name: torch.from_numpy(v) for name, v in random_part(expression.LAYOUT).items()}
    )
    with torch.inference_mode():
        expected = module(torch.from_numpy(frames[:, np.newaxis] / np.float32(255))).numpy()
    row = open_store(store).clip_id.values.tolist().index(CLIPS[0])
    np.testing.assert_allclose(found.values[row], expected, rtol=1e-4, atol=1e-4)
    _, means = extracted(tmp_path, clips, weights, MEANS, "means.zarr")
    np.testing.assert_allclose(
        open_store(means).expression.values[row], expected.mean((2, 3)), rtol=1e-4, atol=1e-4
    )


def test_weights_on_the_web_reach_workers_once_and_nothing_says_where_they_lay(
    tmp_path, clips, weights
):
    import torch

    first, store = extracted(tmp_path, clips, weights)
    without_cache()
    tensors = {k: torch.from_numpy(v) for k, v in random_part(expression.LAYOUT).items()}
    torch.save(tensors, tmp_path / "w.pth")
    with web_files({"w.pth": (tmp_path / "w.pth").read_bytes()}) as site:
        place = site.plain("w.pth").replace("http://", "http://me:hush@") + "?sig=hush"
        with connect("local", workers=1) as client:
            second, again = extracted(tmp_path, clips, place, name="t.zarr", client=client)
        whole = [asked for _, _, asked in site.requests if asked != "bytes=0-0"]
    assert len(whole) == 1
    assert second.done == 9
    assert first.digest == second.digest
    assert stored(store) == stored(again)
    everything = b"".join(stored(again).values())
    everything += b"".join(path.read_bytes() for path in cache.folder().iterdir())
    for secret in ("hush", str(tmp_path), "127.0.0.1"):
        assert secret.encode() not in everything


def test_running_again_computes_nothing_and_other_weights_are_refused(tmp_path, clips, weights):
    _, store = extracted(tmp_path, clips, weights)
    before = stored(store)
    assert extracted(tmp_path, clips, weights)[0].computed == 0
    write(weights, seed=1)
    with pytest.raises(StoreError, match="the weights of expression are others than when"):
        extracted(tmp_path, clips, weights)
    assert stored(store) == before


def test_without_weights_nothing_starts_and_the_message_says_where_they_are(tmp_path, clips):
    with pytest.raises(JobError, match=r"--weights expression=FILE.*emodask pretrain"):
        extract(parse_job(JOB), clips, tmp_path / "s.zarr")
    vgg = {**JOB, "features": {"vgg16": {"frames": 2}}}
    with pytest.raises(JobError, match=r"vgg16-397923af\.pth .*vgg_face_dag\.pth"):
        extract(parse_job(vgg), clips, tmp_path / "s.zarr")
    converted = {**JOB, "features": {"expression": {"base": "xception"}}}
    with pytest.raises(JobError, match=r"python -m emodask\.networks\.convert_fer"):
        extract(parse_job(converted), clips, tmp_path / "s.zarr")
    with pytest.raises(UsageError, match=r"no feature 'faces' with weights.*are expression"):
        extract(parse_job(JOB), clips, tmp_path / "s.zarr", weights={"faces": "w.pth"})
    assert not (tmp_path / "s.zarr").exists()


def test_weights_of_another_network_are_refused_before_any_work(tmp_path, clips):
    other = write(tmp_path / "other.safetensors", xception.LAYOUT)
    with pytest.raises(SourceError, match=r"no weights of the expression network.*found 'blocks"):
        extracted(tmp_path, clips, other)
    assert not (tmp_path / "s.zarr").exists()


def test_a_path_in_a_job_file_is_relative_to_it(tmp_path, monkeypatch):
    write(tmp_path / "jobs" / "here" / "w.safetensors")
    settings = {**JOB, "features": {"expression": {"weights": "here/w.safetensors"}}}
    file = tmp_path / "jobs" / "seen.toml"
    file.write_text(as_toml(settings))
    job = load_job(file)
    assert "w.safetensors" not in json.dumps(job.settings()) + repr(job)
    assert read_weights(job).features["expression"].settings.content
    monkeypatch.setenv("HOME", str(file.parent / "here"))
    settings["features"]["expression"]["weights"] = "~/w.safetensors"
    file.write_text(as_toml(settings))
    assert read_weights(load_job(file)).features["expression"].settings.content


def test_a_worker_without_the_weights_says_what_is_needed(tmp_path, weights):
    job = read_weights(parse_job(JOB), {"expression": weights})
    sent: Job = pickle.loads(pickle.dumps(job))
    digest = job.features["expression"].settings.content
    without_cache()
    assert list(parts_here(sent)) == [digest]  # read where the job says that they lie
    without_cache()
    write(weights, seed=1)
    with pytest.raises(ClusterError, match=r"are others than those that the job was begun with"):
        parts_here(sent)
    weights.unlink()
    with pytest.raises(ClusterError, match=r"no such file.*in a shared folder, or at a URL"):
        parts_here(sent)
    with pytest.raises(ClusterError, match="the job names no place for them"):
        parts_here(parse_job(job.settings()))


def test_a_bundle_predicts_on_its_own_and_checks_its_weights(tmp_path, clips, weights):
    _, store = extracted(tmp_path, clips, weights, MEANS)
    job = parse_job(MEANS)
    fit(job, store, tmp_path / "b")
    expected = [verdict.probabilities for verdict in predict(tmp_path / "b", clips)]
    assert len(expected) == 9
    assert all(expected)
    without_cache()
    weights.unlink()
    assert [v.probabilities for v in predict(load_bundle(tmp_path / "b"), clips)] == expected
    assert not list(cache.folder().glob("*.safetensors"))
    file = tmp_path / "b" / file_of("expression")
    other = write(tmp_path / "other.safetensors", seed=1)
    whole = file.read_bytes()
    file.write_bytes(other.read_bytes())
    frozen.cache_clear()
    verdict = predict(load_bundle(tmp_path / "b"), clips)[0]
    assert "damaged weights of the expression network" in verdict.error
    file.unlink()
    with pytest.raises(BundleError, match=r"weights-expression\.safetensors is not there"):
        load_bundle(tmp_path / "b")
    file.write_bytes(whole)
    load_bundle(tmp_path / "b")


def test_a_decoder_says_what_is_wrong_with_its_weights(weights):
    job = read_weights(parse_job(JOB), {"expression": weights})
    (kept,) = parts_here(job).values()
    Path(kept).write_bytes(Path(kept).read_bytes()[:-1])
    decoder = Decoder(job)
    said = r"^no decoder process can be started here: .*damaged weights of the expression network"
    try:
        with pytest.raises(ClusterError, match=said):
            decoder.for_clip()(job, "c", "video", b"", {})
        again = decoder.for_clip()  # the damaged part is gone: the job's own place is read
        assert again(job, "c", "video", mp4(moving_bars()), {})[1] == 2
    finally:
        decoder.close()


def test_without_pytorch_nothing_of_a_network_is_computed_and_why_is_said(
    tmp_path, clips, weights, monkeypatch
):
    _, store = extracted(tmp_path, clips, weights, MEANS)
    fit(parse_job(MEANS), store, tmp_path / "b")
    settings = read_weights(parse_job(MEANS), {"expression": weights}).features["expression"]
    frozen.cache_clear()
    monkeypatch.setattr(networks, "installed", lambda: False)
    with pytest.raises(UsageError, match=r"expression comes from a network; PyTorch is not"):
        load_bundle(tmp_path / "b")
    with pytest.raises(UsageError, match="PyTorch is not installed"):
        family("expression").prepare(settings.settings)


def test_a_bundle_needs_the_weights_when_it_is_written(tmp_path, clips, weights):
    _, store = extracted(tmp_path, clips, weights, MEANS)
    without_cache()
    with pytest.raises(JobError, match="nothing says where the weights of expression lie"):
        fit(parse_job(MEANS), store, tmp_path / "b")
    wrong = write(tmp_path / "wrong.safetensors", seed=1)
    with pytest.raises(JobError, match="are others than those that the job was begun with"):
        fit(parse_job(MEANS), store, tmp_path / "b", weights={"expression": wrong})
    fit(parse_job(MEANS), store, tmp_path / "b", weights={"expression": weights})
    assert (tmp_path / "b" / file_of("expression")).is_file()


def test_what_was_extracted_is_evaluated_without_the_weights(tmp_path, clips, weights):
    _, store = extracted(tmp_path, clips, weights)
    without_cache()
    weights.unlink()
    metrics = evaluate(parse_job(JOB), store, tmp_path / "report", pictures=False)
    assert "head" in metrics["protocols"]["within-actor"]["models"]
    assert metrics["job"]["features"]["expression"]["content"]


def test_vgg16_fits_the_memory_that_is_planned_and_takes_oxfords_names(tmp_path):
    import torch

    part = random_part(vgg16.LAYOUT)
    names = vgg16.LAYOUT.namings["Oxford's"]
    torch.save({names[k]: torch.from_numpy(v) for k, v in part.items()}, tmp_path / "face.pth")
    job = parse_job(
        {**JOB, "features": {"vgg16": {"frames": 2, "height": 224, "width": 224, "every": 3}}}
    )
    job = read_weights(job, {"vgg16": tmp_path / "face.pth"})
    video = mp4(moving_bars(count=12, height=90, width=160))
    shape = ClipShape(160, 90, 12, 0.4, len(video), assumed=False)
    plan = plan_memory(job, shape, batch=1)
    decoder = Decoder(job, plan.decoding + _LAZY)  # the least that it is ever given
    try:
        features, _ = decoder.for_clip(100)(job, "a", "video", video, {})
        assert features["vgg16"].shape == (2, 512, 7, 7)
        process = decoder._process
        assert process is not None
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        peak = int(dict(line.split(":", 1) for line in status)["VmHWM"].split()[0]) * 1024
        assert plan.decoder - (200 << 20) < peak < plan.decoder + plan.decoding
    finally:
        decoder.close()


def test_a_clip_whose_maps_have_no_room_says_how_much_there_was(tmp_path):
    import torch

    part = random_part(vgg16.LAYOUT)
    torch.save({k: torch.from_numpy(v) for k, v in part.items()}, tmp_path / "vgg16.pth")
    job = parse_job({**JOB, "features": {"vgg16": {"height": 2048, "width": 2048}}})
    job = read_weights(job, {"vgg16": tmp_path / "vgg16.pth"})
    decoder = Decoder(job, 256 << 20)
    try:
        with pytest.raises(MediaError, match=r"^needs more than 0\.25 GiB of memory$"):
            decoder.for_clip(100)(job, "a", "video", mp4(moving_bars(6, 90, 160)), {})
    finally:
        decoder.close()


@pytest.mark.parametrize("content", ["../../../etc/passwd", "a" * 65, 7])
def test_a_store_that_says_what_no_digest_is_of_its_weights_is_refused(content):
    job = parse_job(JOB)
    with pytest.raises(JobError, match=r"^s\.zarr: features\.expression\.content: "):
        with_content_of(job, {"expression": {"content": content}}, "s.zarr")
    settings = with_content_of(job, {"expression": {"content": "a" * 64}}, "s.zarr")
    assert settings.features["expression"].settings.content == "a" * 64
    assert with_content_of(job, {"expression": None}, "s.zarr") == job


def test_one_frame_is_the_one_in_the_middle_and_maps_shrink_with_pictures():
    job = parse_job({**JOB, "features": {"vgg16": {"height": 128, "width": 227, "frames": 120}}})
    feature = job.features["vgg16"]
    assert list(feature.row_dims.values()) == [120, 512, 4, 7]
    assert feature.streamed
    means = parse_job({**JOB, "models": MEANS["models"], "features": {"vgg16": {"output": "mean"}}})
    assert list(means.features["vgg16"].row_dims.values()) == [1, 512]
    assert not means.features["vgg16"].streamed
    with pytest.raises(JobError, match=r"features\.vgg16\.height: .*greater than or equal to 32"):
        parse_job({**JOB, "features": {"vgg16": {"height": 16}}})
    with pytest.raises(JobError, match=r"features\.expression\.checksum: .*pattern"):
        parse_job({**JOB, "features": {"expression": {"checksum": "md5:1"}}})


def test_a_video_without_a_face_costs_its_row_where_faces_are_cropped(tmp_path, clips, weights):
    settings = {**JOB, "features": {"expression": {"crop": "face"}}}
    summary, _ = extracted(tmp_path, clips, weights, settings)
    assert (summary.done, summary.failed) == (0, 9)
    assert "no face" in summary.failures[0][1]


def test_a_video_of_one_frame_is_seen_by_networks_of_frames(tmp_path, weights):
    media = zip_of(tmp_path / "one.zip", {f"Actor/02-{CLIPS[0]}.mp4": mp4(moving_bars(1))})
    summary, store = extracted(tmp_path, str(media), weights)
    assert (summary.done, summary.failures) == (1, ())
    one, other = open_store(store).expression.values[0]
    np.testing.assert_array_equal(one, other)


def test_commands_take_weights_and_refuse_bad_ones_with_exit_code_2(tmp_path, clips, weights):
    file = tmp_path / "seen.toml"
    file.write_text(as_toml(MEANS))
    page = tmp_path / "page.pth"
    page.write_text("<html>Not found</html>")

    def run(*more: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "emodask", "extract", file, "--source", clips, "--store"]
        whole = [*command, tmp_path / "s.zarr", "--scheduler", "sync", *more]
        return subprocess.run(list(map(str, whole)), capture_output=True, text=True, timeout=110)

    for more, said in [
        ((), "nothing says where the weights of expression lie"),
        (("--weights", "expression"), "--weights takes NAME=FILE"),
        (("--weights", f"expression={page}"), "a web page"),
    ]:
        found = run(*more)
        assert found.returncode == 2, found.stderr
        assert said in " ".join(found.stderr.split())
        assert "Traceback" not in found.stderr
    found = run("--weights", f"expression={weights}")
    assert found.returncode == 0, found.stderr


def test_weights_are_loaded_once_in_a_process(tmp_path, weights, monkeypatch):
    job = read_weights(parse_job(JOB), {"expression": weights})
    settings = job.features["expression"].settings
    from emodask.features.network import frozen as module

    calls = []
    monkeypatch.setattr(module, "load", lambda *args: calls.append(args) or load(*args))
    one = frozen(expression.base, expression.LAYOUT, settings.content)
    assert frozen(expression.base, expression.LAYOUT, settings.content) is one
    assert len(calls) == 1
    assert not any(value.requires_grad for value in one.parameters())
