"""Which clips a synthetic corpus holds, and the actor zips that hold them."""

from __future__ import annotations

import csv
import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np

from emodask.emotions import EMOTIONS, emotion_name
from emodask.errors import UsageError
from emodask.sources.names import CHANNELS, SONG_EMOTIONS
from emodask.sources.synth.acting import perform
from emodask.sources.synth.people import cast
from emodask.sources.synth.voices import RATE, speak
from emodask.sources.synth.writing import ZipWriter

MODALITIES: dict[str, int] = {"full-av": 1, "video-only": 2, "audio-only": 3}
"""RAVDESS's modality codes."""

RAVDESS_ACTORS = 24
CLIPS_PER_ACTOR = 60

# Statement, intensity and repetition of each round of eight emotions. Every two rounds see both
# statements and both intensities, every four both repetitions of each statement.
_ROUNDS = (
    (1, 1, 1),
    (2, 2, 1),
    (1, 2, 2),
    (2, 1, 2),
    (2, 1, 1),
    (1, 2, 1),
    (2, 2, 2),
    (1, 1, 2),
)

_SUNG_LONGER = 1.3

_MANIFEST_COLUMNS = (
    "path",
    "clip_id",
    "actor",
    "emotion",
    "intensity",
    "statement",
    "repetition",
    "channel",
    "modality",
)


@dataclass(frozen=True)
class SynthClip:
    """RAVDESS codes of one clip."""

    actor: int
    emotion: int
    intensity: int
    statement: int
    repetition: int
    channel: int = 1

    @property
    def clip_id(self) -> str:
        """RAVDESS name without the modality."""
        said = (self.emotion, self.intensity, self.statement, self.repetition)
        return "-".join(f"{code:02d}" for code in (self.channel, *said, self.actor))

    def member(self, modality: str) -> str:
        """Name inside the actor's zip."""
        extension = "wav" if modality == "audio-only" else "mp4"
        return f"Actor_{self.actor:02d}/{MODALITIES[modality]:02d}-{self.clip_id}.{extension}"


def clip_order(
    actor: int, clips: int = CLIPS_PER_ACTOR, channel: str = "speech"
) -> list[SynthClip]:
    """Order clips so that any first ones are balanced over the emotions; song has six of them.

    Examples
    --------
    >>> [clip.clip_id for clip in clip_order(3, 9)][::4]
    ['01-01-01-01-01-03', '01-05-01-01-01-03', '01-01-01-02-01-03']
    """
    order = []
    emotions = SONG_EMOTIONS if channel == "song" else len(EMOTIONS)
    for turn, (statement, intensity, repetition) in enumerate(_ROUNDS):
        for emotion in range(1, emotions + 1):
            if emotion == 1 and turn >= 4:
                continue  # neutral exists at one intensity: four clips, not eight
            strength = 1 if emotion == 1 else intensity
            code = CHANNELS[channel]
            order.append(SynthClip(actor, emotion, strength, statement, repetition, code))
    return order[:clips]


@dataclass(frozen=True)
class _Scene:
    """What all clips of a corpus share."""

    seed: int
    size: tuple[int, int]
    fps: Fraction
    seconds: float
    modalities: tuple[str, ...]


def _check(scene: _Scene) -> _Scene:
    width, height = scene.size
    if width % 2 or height % 2 or min(width, height) < 16:
        raise UsageError(
            f"a frame size of {width}x{height} cannot be encoded as 4:2:0 video: "
            "width and height must be even and at least 16"
        )
    if not 0.3 <= scene.seconds <= 60.0:
        raise UsageError(f"clips of {scene.seconds:g} s: give a mean duration from 0.3 to 60 s")
    if scene.seed < 0:
        raise UsageError(f"seed {scene.seed}: give a whole number from 0 on")
    unknown = [name for name in scene.modalities if name not in MODALITIES]
    if unknown or not scene.modalities:
        raise UsageError(
            f"modalities {', '.join(unknown) or '(none)'}: choose from {', '.join(MODALITIES)}"
        )
    return scene


def _make(clip: SynthClip, scene: _Scene) -> dict[str, bytes]:
    """Play one clip and encode it: the bytes of each wanted modality."""
    import cv2

    from emodask.sources.synth.encode import add_sound, encode_video, wav_bytes
    from emodask.sources.synth.faces import draw
    from emodask.sources.synth.motion import move

    cv2.setNumThreads(1)
    codes = (clip.emotion, clip.intensity, clip.statement, clip.repetition)
    sung = clip.channel == CHANNELS["song"]
    stage, sound, picture = (
        np.random.default_rng([scene.seed, clip.actor, 1 + k, *codes, *[clip.channel] * sung])
        for k in range(3)
    )
    person = cast(clip.actor, scene.seed)
    played = perform(person, clip.emotion, clip.intensity, stage)
    stretch = played.prosody.duration * person.pace * float(stage.uniform(0.96, 1.04))
    stretch *= _SUNG_LONGER if sung else 1.0
    frames = max(2, round(scene.seconds * stretch * scene.fps))
    length = round(frames * RATE / scene.fps)
    said = speak(person, played.prosody, clip.statement, length, sound)
    made = {}
    if "full-av" in scene.modalities or "video-only" in scene.modalities:
        fps = float(scene.fps)
        mouth, rounding = said.mouth_at(np.arange(frames) / fps)
        curves = move(played, mouth, rounding, fps, picture)
        video = encode_video(draw(person, curves, scene.size, picture), scene.size, scene.fps)
        if "full-av" in scene.modalities:
            made["full-av"] = add_sound(video, said.samples, RATE)
        if "video-only" in scene.modalities:
            made["video-only"] = add_sound(video, np.zeros_like(said.samples), RATE)
    if "audio-only" in scene.modalities:
        made["audio-only"] = wav_bytes(said.samples, RATE)
    return made


def clip_bytes(
    actor: int,
    emotion: int,
    intensity: int = 1,
    statement: int = 1,
    repetition: int = 1,
    seed: int = 0,
    size: tuple[int, int] = (64, 36),
    seconds: float = 0.7,
    modality: str = "full-av",
    fps: float = 30_000 / 1001,
) -> bytes:
    """Make one media file, the same as in a corpus of the same seed, size and duration.

    Parameters
    ----------
    actor, emotion, intensity, statement, repetition : int
        RAVDESS codes; neutral (emotion 1) has intensity 1 alone.
    seed : int
        Seed of the corpus.
    size : (int, int)
        Width and height in pixels, both even.
    seconds : float
        Mean duration; a clip's own varies by emotion, actor and chance.
    modality : {"full-av", "video-only", "audio-only"}
        Which of the clip's three files.
    fps : float
        Frames a second.

    Returns
    -------
    bytes
        An mp4, or a wav for "audio-only".

    Raises
    ------
    UsageError
        If a code does not exist in RAVDESS or the video cannot be encoded.

    Examples
    --------
    >>> clip_bytes(1, 5, modality="audio-only")[:4]
    b'RIFF'
    """
    clip = SynthClip(actor, emotion, intensity, statement, repetition)
    if actor < 1 or clip not in clip_order(actor):
        raise UsageError(
            f"there is no clip {clip.clip_id} in RAVDESS: actors start at 1, emotions are 1-8, "
            "intensity, statement and repetition 1-2, and neutral has intensity 1 alone"
        )
    scene = _check(_Scene(seed, size, _rate(fps), seconds, (modality,)))
    return _make(clip, scene)[modality]


def _rate(fps: float) -> Fraction:
    if not 1.0 <= fps <= 240.0:
        raise UsageError(f"{fps:g} frames a second: give a rate from 1 to 240")
    return Fraction(fps).limit_denominator(1001)


def synthesize(
    dest: str | os.PathLike[str],
    actors: int = 6,
    clips: int = 16,
    seed: int = 0,
    size: tuple[int, int] = (426, 240),
    fps: float = 30_000 / 1001,
    seconds: float = 2.5,
    modalities: Sequence[str] = tuple(MODALITIES),
    progress: Callable[[int, int], object] | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    channel: Literal["speech", "song"] = "speech",
) -> list[Path]:
    """Write a corpus of animated faces and voices, laid out like RAVDESS.

    `Video_Speech_Actor_NN.zip` holds an actor's ``01-*.mp4`` (full audio-video) and ``02-*.mp4``
    (video-only, with a silent AAC track, as in RAVDESS); `Audio_Speech_Actors_01-NN.zip` holds
    everybody's ``03-*.wav``. Beyond 24 actors, where RAVDESS's codes end, `manifest.csv` names
    every file. The same arguments give the same bytes, however many workers there are.

    Parameters
    ----------
    dest : path
        Local folder, made if absent.
    actors : int
        How many people, from 1 on; even numbers are female.
    clips : int
        Clips of each actor, 1-60, balanced over the emotions first.
    seed : int
        Seed of the people and of chance, from 0 on.
    size : (int, int)
        Width and height of the frames in pixels, both even.
    fps : float
        Frames a second.
    seconds : float
        Mean duration of the clips.
    modalities : sequence of {"full-av", "video-only", "audio-only"}
        Which files to make.
    progress : callable, optional
        ``progress(clips_done, clips_in_all)`` is called after each clip.
    overwrite : bool
        Replace zips of the same names.
    workers : int, optional
        Processes; by default one a core, if there is work for them. They are spawned, so that a
        script that calls this needs ``if __name__ == "__main__"``; 1 stays in this process.
    channel : {"speech", "song"}
        Song is the same people and statements, drawn out, in RAVDESS's six emotions of song: at
        most 44 clips of each actor. Its zips have ``Song`` in their names.

    Returns
    -------
    list of Path
        The zips, and the manifest if there is one.

    Raises
    ------
    UsageError
        If an argument is out of range, or a file exists already and `overwrite` is not given.
    """
    if actors < 1:
        raise UsageError(f"{actors} actors: give at least 1")
    most = len(clip_order(1, channel=channel))
    if not 1 <= clips <= most:
        raise UsageError(f"{clips} clips an actor: give 1 to {most}, as RAVDESS has of {channel}")
    if "://" in os.fspath(dest):
        raise UsageError(f"{dest} is a URL: give a local folder, then copy it where it should lie")
    scene = _check(_Scene(seed, size, _rate(fps), seconds, tuple(dict.fromkeys(modalities))))
    folder = Path(dest)
    order = [clip_order(actor, clips, channel) for actor in range(1, actors + 1)]
    archives = {name: _archive(name, actors, channel.title()) for name in scene.modalities}
    names = [archives[m](clip[0].actor) for m in scene.modalities for clip in order]
    if actors > RAVDESS_ACTORS:
        names.append("manifest.csv")
    targets = [folder / name for name in sorted(set(names))]
    existing = [path.name for path in targets if path.exists()]
    if existing and not overwrite:
        raise UsageError(
            f"{folder} already holds {existing[0]}"
            + (f" and {len(existing) - 1} more of this corpus" if len(existing) > 1 else "")
            + ": choose an empty folder, or ask to overwrite"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made: {error.strerror}") from error
    total = actors * clips
    with ZipWriter(folder) as zips:
        everything = list(chain.from_iterable(order))
        for done, (clip, made) in enumerate(_in_order(everything, scene, workers), start=1):
            for modality, content in made.items():
                zips.add(archives[modality](clip.actor), clip.member(modality), content)
            if progress is not None:
                progress(done, total)
        if actors > RAVDESS_ACTORS:
            zips.text("manifest.csv", _manifest(everything, archives, channel))
    return targets


def _archive(modality: str, actors: int, channel: str) -> Callable[[int], str]:
    """Which zip holds an actor's files of a modality."""
    if modality == "audio-only":
        return lambda actor: f"Audio_{channel}_Actors_01-{actors:02d}.zip"
    return lambda actor: f"Video_{channel}_Actor_{actor:02d}.zip"


def _manifest(
    clips: list[SynthClip], archives: dict[str, Callable[[int], str]], channel: str
) -> str:
    """CSV with one line a media file; paths are fsspec's chained URLs, relative to the manifest."""
    sink = io.StringIO()
    table = csv.writer(sink, lineterminator="\n")
    table.writerow(_MANIFEST_COLUMNS)
    for clip in clips:
        for modality, archive in archives.items():
            table.writerow(
                (
                    f"zip://{clip.member(modality)}::{archive(clip.actor)}",
                    clip.clip_id,
                    clip.actor,
                    emotion_name(clip.emotion),
                    clip.intensity,
                    clip.statement,
                    clip.repetition,
                    channel,
                    modality,
                )
            )
    return sink.getvalue()


def _in_order(
    clips: list[SynthClip], scene: _Scene, workers: int | None
) -> Iterator[tuple[SynthClip, dict[str, bytes]]]:
    """Make the clips, in parallel, and give them back in order; few are held at a time."""
    # Starting a process costs about as much as making four clips.
    processes = workers or min(os.cpu_count() or 1, len(clips) // 4)
    if processes <= 1:
        yield from ((clip, _make(clip, scene)) for clip in clips)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting: deque[tuple[SynthClip, Future[dict[str, bytes]]]] = deque()
        try:
            for clip in clips:
                waiting.append((clip, pool.submit(_make, clip, scene)))
                if len(waiting) > 4 * processes:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(cancel_futures=True)
