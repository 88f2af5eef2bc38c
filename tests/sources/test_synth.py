"""The synthetic corpus looks like RAVDESS, is the same every time, and shows its emotions."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from emodask.errors import UsageError
from emodask.sources.synth import clip_bytes, clip_order, synthesize
from emodask.sources.synth.acting import FACE_FIELDS, perform
from emodask.sources.synth.people import cast

SIZE = (64, 36)
SECONDS = 0.6


def small(dest: Path, **changes: object) -> list[Path]:
    settings: dict = {"actors": 1, "clips": 2, "size": SIZE, "seconds": SECONDS, "workers": 1}
    return synthesize(dest, **{**settings, **changes})


def decode(content: bytes) -> tuple[npt.NDArray, npt.NDArray, Fraction, int]:
    """Gray frames, mono samples, frame rate and sample rate of an mp4."""
    with av.open(io.BytesIO(content)) as container:
        frames = np.stack([f.to_ndarray(format="gray") for f in container.decode(video=0)])
        container.seek(0)
        samples = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
        fps, rate = container.streams.video[0].average_rate, container.streams.audio[0].rate
    assert fps is not None
    return frames, samples, fps, rate


def sound(actor: int, emotion: int, **changes: int) -> npt.NDArray:
    content = clip_bytes(
        actor, emotion, 1 if emotion == 1 else 2, seconds=1.5, modality="audio-only", **changes
    )
    return soundfile.read(io.BytesIO(content))[0]


def level(samples: npt.NDArray) -> float:
    return float(10 * np.log10(np.mean(samples**2)))


def pitch(samples: npt.NDArray, rate: int = 48_000) -> float:
    """Median fundamental frequency of the loud frames, by autocorrelation."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 2400)[::1200]
    loud = frames[np.mean(frames**2, axis=1) > 0.25 * np.mean(frames**2, axis=1).max()]
    spectrum = np.fft.rfft(loud, 8192)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    shortest, longest = rate // 500, rate // 70
    lags = shortest + np.argmax(correlation[:, shortest:longest], axis=1)
    return float(np.median(rate / lags))


def test_zips_and_members_are_named_as_in_ravdess(tmp_path: Path) -> None:
    written = small(tmp_path, actors=2)
    assert [path.name for path in written] == [
        "Audio_Speech_Actors_01-02.zip",
        "Video_Speech_Actor_01.zip",
        "Video_Speech_Actor_02.zip",
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == [p.name for p in written]
    with zipfile.ZipFile(written[0]) as archive:
        assert archive.namelist() == [
            "Actor_01/03-01-01-01-01-01-01.wav",
            "Actor_01/03-01-02-01-01-01-01.wav",
            "Actor_02/03-01-01-01-01-01-02.wav",
            "Actor_02/03-01-02-01-01-01-02.wav",
        ]
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_DEFLATED}
    with zipfile.ZipFile(written[2]) as archive:
        assert sorted(archive.namelist()) == [
            "Actor_02/01-01-01-01-01-01-02.mp4",
            "Actor_02/01-01-02-01-01-01-02.mp4",
            "Actor_02/02-01-01-01-01-01-02.mp4",
            "Actor_02/02-01-02-01-01-01-02.mp4",
        ]


def test_only_the_wanted_modalities_are_made(tmp_path: Path) -> None:
    (written,) = small(tmp_path, modalities=("video-only",))
    with zipfile.ZipFile(written) as archive:
        assert {name[len("Actor_01/") :][:3] for name in archive.namelist()} == {"02-"}


def test_full_av_decodes_to_the_asked_size_rate_and_duration() -> None:
    frames, samples, fps, rate = decode(clip_bytes(3, 4, size=(96, 54), seconds=1.0))
    assert frames.shape[1:] == (54, 96)
    assert (fps, rate) == (Fraction(30_000, 1001), 48_000)
    assert len(samples) == 2
    assert len(frames) / fps == pytest.approx(1.0, rel=0.4)
    # AAC comes in blocks of 1024 samples, with up to two of padding.
    assert samples.shape[1] / rate == pytest.approx(float(len(frames) / fps), abs=3 * 1024 / rate)
    assert np.abs(samples).max() > 0.01


def test_video_only_shows_the_same_pictures_and_keeps_a_silent_track() -> None:
    full = decode(clip_bytes(1, 3, modality="full-av"))
    video = decode(clip_bytes(1, 3, modality="video-only"))
    np.testing.assert_array_equal(video[0], full[0])
    assert video[1].shape == full[1].shape
    assert np.abs(video[1]).max() < 1e-4


def test_wav_is_mono_16_bit_and_says_what_the_full_av_says() -> None:
    info = soundfile.info(io.BytesIO(clip_bytes(2, 5, modality="audio-only")))
    assert (info.samplerate, info.channels, info.subtype) == (48_000, 1, "PCM_16")
    wav = soundfile.read(io.BytesIO(clip_bytes(2, 5, modality="audio-only")))[0]
    aac = decode(clip_bytes(2, 5))[1][0]
    n = min(len(wav), len(aac))
    lags = range(-2048, 2049, 1024)
    match = max(
        np.corrcoef(wav[4096 : n - 4096], np.roll(aac, k)[4096 : n - 4096])[0, 1] for k in lags
    )
    assert match > 0.9


def test_the_same_clips_are_of_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    """With x264's lookahead they were not: it decides by what memory held before."""
    code = (
        "import sys; from emodask.sources.synth import synthesize; synthesize(sys.argv[1], "
        "actors=1, clips=3, workers=1, modalities=('video-only',))"
    )
    found = set()
    for name in ("a", "b", "c"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True, timeout=120)
        (archive,) = (tmp_path / name).glob("*.zip")
        found.add(hashlib.sha256(archive.read_bytes()).hexdigest())
    assert len(found) == 1


def test_the_same_arguments_give_the_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    alone = small(tmp_path / "alone")
    spread = small(tmp_path / "spread", workers=2)
    assert [p.read_bytes() for p in alone] == [p.read_bytes() for p in spread]
    other = small(tmp_path / "other", seed=1)
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(alone, other, strict=True))


def test_one_clip_alone_is_the_clip_of_the_corpus(tmp_path: Path) -> None:
    audio, video = small(tmp_path, actors=1, seed=5)
    settings: dict = {"seed": 5, "size": SIZE, "seconds": SECONDS}
    with zipfile.ZipFile(video) as archive:
        for code, modality in (("01", "full-av"), ("02", "video-only")):
            inside = archive.read(f"Actor_01/{code}-01-02-01-01-01-01.mp4")
            assert inside == clip_bytes(1, 2, modality=modality, **settings)
    with zipfile.ZipFile(audio) as archive:
        inside = archive.read("Actor_01/03-01-02-01-01-01-01.wav")
        assert inside == clip_bytes(1, 2, modality="audio-only", **settings)


@given(st.integers(1, 60))
def test_any_first_clips_are_distinct_and_balanced_over_emotions(clips: int) -> None:
    order = clip_order(7, clips)
    assert len({c.clip_id for c in order}) == clips
    counts = Counter(c.emotion for c in order)
    full = [counts[e] for e in range(2, 9)]
    assert max(full) - min(full) <= 1
    assert abs(counts[1] - min(full)) <= 1 or counts[1] == 4
    assert all(c.intensity == 1 for c in order if c.emotion == 1)


@pytest.mark.parametrize("rounds", [2, 4])
def test_first_rounds_are_balanced_over_statement_and_intensity(rounds: int) -> None:
    for emotion in range(1, 9):
        mine = [c for c in clip_order(1, 8 * rounds) if c.emotion == emotion]
        assert set(Counter(c.statement for c in mine).values()) == {rounds // 2}
        if emotion > 1:
            assert set(Counter(c.intensity for c in mine).values()) == {rounds // 2}


def test_beyond_24_actors_a_manifest_names_every_file(tmp_path: Path) -> None:
    written = small(tmp_path, actors=25, clips=1, modalities=("audio-only",), seconds=0.3)
    assert [p.name for p in written] == ["Audio_Speech_Actors_01-25.zip", "manifest.csv"]
    with (tmp_path / "manifest.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert rows[24] == {
        "path": "zip://Actor_25/03-01-01-01-01-01-25.wav::Audio_Speech_Actors_01-25.zip",
        "clip_id": "01-01-01-01-01-25",
        "actor": "25",
        "emotion": "neutral",
        "intensity": "1",
        "statement": "1",
        "repetition": "1",
        "channel": "speech",
        "modality": "audio-only",
    }
    for row in rows:
        member, _, archive = row["path"].removeprefix("zip://").partition("::")
        assert zipfile.ZipFile(tmp_path / archive).read(member)[:4] == b"RIFF"


def test_up_to_24_actors_need_no_manifest(tmp_path: Path) -> None:
    small(tmp_path, actors=2, clips=1, modalities=("audio-only",), seconds=0.3)
    assert not (tmp_path / "manifest.csv").exists()


def test_existing_zips_are_kept_unless_overwriting_is_asked_for(tmp_path: Path) -> None:
    mine = tmp_path / "Video_Speech_Actor_01.zip"
    mine.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"already holds Video_Speech_Actor_01\.zip"):
        small(tmp_path)
    assert mine.read_bytes() == b"mine"
    assert [p.name for p in tmp_path.iterdir()] == [mine.name]
    small(tmp_path, overwrite=True)
    assert zipfile.is_zipfile(mine)


def test_a_broken_run_leaves_no_files(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(tmp_path, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_clips(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    small(
        tmp_path,
        actors=2,
        modalities=("audio-only",),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actors": 0}, "0 actors"),
        ({"clips": 0}, "0 clips"),
        ({"clips": 61}, "61 clips"),
        ({"size": (427, 240)}, "even"),
        ({"size": (426, 239)}, "even"),
        ({"size": (8, 8)}, "at least 16"),
        ({"fps": 0.0}, "frames a second"),
        ({"fps": float("nan")}, "frames a second"),
        ({"seconds": 0.1}, "duration"),
        ({"seconds": float("nan")}, "duration"),
        ({"seed": -1}, "seed"),
        ({"modalities": ()}, "none"),
        ({"modalities": ("smell",)}, "smell"),
        ({"dest": "s3://bucket/corpus"}, "URL"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(
    tmp_path: Path, changes: dict, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        synthesize(**{"dest": tmp_path / "corpus", **changes})
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize(
    "codes", [(0, 1), (1, 0), (1, 9), (1, 1, 2), (1, 3, 1, 3), (1, 3, 1, 1, 3)]
)
def test_clips_that_ravdess_cannot_name_are_refused(codes: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="no clip"):
        clip_bytes(*codes, modality="audio-only")


@pytest.mark.parametrize("actor", [1, 2, 3, 4])
def test_anger_is_louder_and_higher_than_sadness(actor: int) -> None:
    angry, sad = sound(actor, 5), sound(actor, 4)
    assert level(angry) > level(sad) + 5
    assert pitch(angry) > pitch(sad)


def test_even_actors_have_the_higher_voices() -> None:
    voices = {actor: pitch(sound(actor, 1)) for actor in range(1, 7)}
    assert min(voices[a] for a in (2, 4, 6)) > max(voices[a] for a in (1, 3, 5)) + 20
    assert all(cast(a, 0).female == (a % 2 == 0) for a in range(1, 20))


def test_a_surprised_mouth_and_eyes_open_wider_than_sad_ones() -> None:
    amounts = {
        emotion: np.mean(
            [
                [
                    perform(cast(a, 0), emotion, 2, np.random.default_rng(a)).face[f]
                    for f in FACE_FIELDS
                ]
                for a in range(1, 9)
            ],
            axis=0,
        )
        for emotion in (4, 8)
    }
    for field in ("lid_open", "jaw", "brow_outer"):
        assert amounts[8][FACE_FIELDS.index(field)] > amounts[4][FACE_FIELDS.index(field)] + 0.5


def test_the_stronger_intensity_shows_and_sounds_stronger() -> None:
    def played(intensity: int) -> tuple[float, float]:
        shows = [perform(cast(a, 0), 5, intensity, np.random.default_rng(a)) for a in range(1, 13)]
        return (
            float(np.mean([s.face["brow_knit"] for s in shows])),
            float(np.mean([s.prosody.level for s in shows])),
        )

    (mild_face, mild_voice), (strong_face, strong_voice) = played(1), played(2)
    assert strong_face > mild_face + 0.1
    assert strong_voice > mild_voice + 1


def test_unseen_faces_are_recognised_above_chance() -> None:
    """Nearest centroid of edges in 4x4 cells, each actor against the others: chance is 1 in 4."""
    shown, n_actors = (1, 3, 5, 8), 6

    def edges(actor: int, emotion: int) -> npt.NDArray:
        intensity = 1 if emotion == 1 else 2
        content = clip_bytes(actor, emotion, intensity, size=(128, 72), modality="video-only")
        mean_picture = decode(content)[0][6:-3].mean(axis=0)
        magnitude = np.hypot(*np.gradient(mean_picture))
        return magnitude.reshape(18, 4, 32, 4).mean(axis=(1, 3)).ravel()

    faces = np.array([[edges(a, e) for e in shown] for a in range(1, n_actors + 1)])
    faces -= faces.mean(axis=1, keepdims=True)
    faces /= np.linalg.norm(faces, axis=2, keepdims=True)
    hits = []
    for actor in range(n_actors):
        centroids = np.delete(faces, actor, axis=0).mean(axis=0)
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
        hits.extend((faces[actor] @ centroids.T).argmax(axis=1) == np.arange(len(shown)))
    assert np.mean(hits) > 0.6
