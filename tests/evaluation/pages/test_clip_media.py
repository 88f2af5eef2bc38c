"""Promises of links and sounds: they lead to the clip, tell no secrets, and never cost a report."""

from __future__ import annotations

import base64
import io

import av
import numpy as np
import pytest

from emodask.errors import UnreachableError
from emodask.evaluation.evaluate import evaluate
from emodask.evaluation.pages.clip_media import link, with_media
from emodask.evaluation.pages.report import render_report
from emodask.evaluation.pages.sounds import MOST_BYTES, MOST_SOUNDS, mp3, sounds_of_mistakes
from emodask.job import load_job, parse_job
from emodask.pipeline import run
from emodask.sources.catalogue import Clip, MediaFile, scan
from emodask.sources.location import Location
from tests.conftest import SMALL
from tests.evaluation.fabricated import fabricated, metrics_of
from tests.media_files import tone, wav

NAMES = [f"03-01-{e:02d}-01-01-01-{a:02d}.wav" for a in (1, 2) for e in (3, 4, 5, 6)]


@pytest.fixture
def folder(tmp_path):
    """A folder of eight wavs."""
    media = tmp_path / "media # 1"
    media.mkdir()
    for place, name in enumerate(NAMES):
        (media / name).write_bytes(wav(tone(pitch=100 + 20 * place)))
    return media


@pytest.fixture
def metrics(folder):
    """Metrics whose mistakes are clips of the folder."""
    found = metrics_of({("loso", "mlp"): fabricated(0.1)})
    mistakes = found["protocols"]["loso"]["models"]["mlp"]["mistakes"][: len(NAMES)]
    for mistake, name in zip(mistakes, NAMES, strict=True):
        mistake["clip_id"] = "01-" + name[3:-4].partition("-")[2]
    found["protocols"]["loso"]["models"]["mlp"]["mistakes"] = mistakes
    return found


@pytest.fixture
def job():
    return load_job("spline")


def mistakes_of(metrics):
    return metrics["protocols"]["loso"]["models"]["mlp"]["mistakes"]


def test_a_file_in_a_folder_is_linked_from_the_report(metrics, job, folder, tmp_path):
    report = tmp_path / "out" / "report"
    clips = scan(str(folder)).clips
    located = mistakes_of(with_media(metrics, job, clips, str(report)))
    assert [one["clip_id"] for one in located] == [one["clip_id"] for one in mistakes_of(metrics)]
    for one in located:
        (media,) = one["media"]
        assert media["href"] == f"../../media%20%23%201/{media['name']}"
        assert media["name"] in NAMES
    page = render_report(with_media(metrics, job, clips, str(report)))
    assert page.count("<a href=") == len(NAMES)
    assert str(tmp_path) not in page


def test_a_member_of_a_zip_is_named_with_its_archive(corpus, small_job, small_store, tmp_path):
    media = scan(f"{corpus}/*.zip").clips
    metrics = evaluate(small_job, small_store, tmp_path, media=media, sounds=False, pictures=False)
    page = (tmp_path / "index.html").read_text()
    found = [
        media
        for entry in metrics["protocols"].values()
        for model in entry["models"].values()
        for mistake in model["mistakes"]
        for media in mistake["media"]
    ]
    assert found
    assert all(not one["href"] and ".zip" in one["name"] for one in found)
    assert {one["name"].partition(" in ")[2][:5] for one in found} == {"Audio", "Video"}
    assert found[0]["name"] in page
    assert str(corpus) not in page
    assert "<audio" not in page


@pytest.mark.parametrize(
    ("url", "href"),
    [
        ("https://host/a/03-01-03-01-01-01-01.wav", True),
        ("https://me:hush@host/a.wav", False),
        ("https://host/a.wav?sig=hush", False),
        ("s3://bucket/a.wav", False),
        ("memory://a.wav", False),
    ],
)
def test_addresses_are_linked_where_they_lead_and_tell_no_secrets(job, tmp_path, url, href):
    media = MediaFile("audio-only", Location(url, (("token", "hush"),)))
    assert link(media, str(tmp_path)) == (url if href else "")
    clip = Clip("clip-000", 1, 3, media=(media,))
    metrics = metrics_of({("loso", "mlp"): fabricated(0.1)})
    mistakes_of(metrics)[0]["clip_id"] = "clip-000"
    located = with_media(metrics, job, [clip], str(tmp_path))
    assert "hush" not in str(located)
    assert "hush" not in render_report(located)
    assert mistakes_of(located)[0]["media"][0]["name"]


def test_options_of_a_store_that_are_dictionaries_are_no_hindrance(metrics, job, folder, tmp_path):
    clips = scan(str(folder), {"client_kwargs": {"region_name": "here"}}).clips
    assert all(one["media"] for one in mistakes_of(with_media(metrics, job, clips, str(tmp_path))))


def test_no_link_leads_from_a_bucket_to_a_disk(folder):
    media = scan(str(folder)).clips[0].media[0]
    assert link(media, "s3://bucket/report") == ""


def test_a_name_is_never_a_scheme_or_a_tag(tmp_path):
    media = MediaFile("audio-only", Location(str(tmp_path / 'javascript:alert(1)"><b>.wav')))
    assert link(media, str(tmp_path)).startswith("javascript%3Aalert")
    assert '"' not in link(media, str(tmp_path))


def test_the_surest_mistakes_can_be_heard_in_the_page(metrics, job, folder):
    heard = sounds_of_mistakes(metrics, job, scan(str(folder)).clips)
    assert list(heard) == [one["clip_id"] for one in mistakes_of(metrics)][:MOST_SOUNDS]
    page = render_report(metrics, sounds=heard)
    assert page.count("<audio controls") == len(heard) == len(NAMES)
    assert "media-src data:" in page
    assert "share it as you would share the clips" in page
    with av.open(io.BytesIO(wav(tone()))) as original:
        expected = original.duration / 1e6
    for address in heard.values():
        packed = base64.b64decode(address.removeprefix("data:audio/mpeg;base64,"))
        with av.open(io.BytesIO(packed)) as container:
            frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        seconds = sum(frame.shape[1] for frame in frames) / 24_000
        assert seconds == pytest.approx(expected, abs=0.2)
        assert np.abs(np.concatenate(frames, axis=1)).max() > 0.01


@pytest.mark.parametrize("seconds", [0.2, 4.9, 5.1, 9.0, 60.0])
def test_no_sound_is_larger_than_promised(seconds):
    noise = np.random.default_rng(0).uniform(-1, 1, int(24_000 * seconds)).astype(np.float32)
    assert 500 < len(mp3(noise)) <= MOST_BYTES


def test_sounds_that_cannot_be_had_cost_no_report(metrics, job, folder, monkeypatch):
    clips = scan(str(folder)).clips
    (folder / NAMES[0]).write_bytes(b"RIFF")
    (folder / NAMES[1]).unlink()
    assert len(sounds_of_mistakes(metrics, job, clips)) == len(NAMES) - 2
    asked = []

    def unreachable(media):
        asked.append(media)
        raise UnreachableError("no answer")

    monkeypatch.setattr(MediaFile, "read", unreachable)
    assert sounds_of_mistakes(metrics, job, clips) == {}
    assert len(asked) == 1
    assert sounds_of_mistakes({"protocols": {}}, job, clips) == {}


def test_a_run_puts_sounds_into_its_page_unless_told_not_to(corpus, tmp_path):
    short = {"models": {"svc": SMALL["models"]["svc"]}, "evaluation": {"protocols": ["loso"]}}
    small_job = parse_job({**SMALL, **short})
    run(small_job, f"{corpus}/*.zip", tmp_path / "out")
    page = tmp_path / "out" / "report" / "index.html"
    assert "data:audio/mpeg;base64," in page.read_text()
    run(small_job, f"{corpus}/*.zip", tmp_path / "out", sounds=False)
    assert "data:audio" not in page.read_text()
    assert ".zip</code>" in page.read_text()


def test_sounds_are_decoded_in_a_process_of_their_own(metrics, job, folder, monkeypatch):
    def crash(*args, **kwargs):
        raise AssertionError("decoded beside the evaluation")

    monkeypatch.setattr("emodask.media.mono_samples", crash)
    assert len(sounds_of_mistakes(metrics, job, scan(str(folder)).clips)) == len(NAMES)
