"""Time of a clip's extraction, stage by stage, against decoding its video and throwing it away.

Run ``python -m tests.benchmarks.bench_extract [--source FOLDER] [--repeats 5] [--json]``. The
folder holds RAVDESS zips; clips that have a video and a wav are taken. Everything runs on one
thread and by turns, so that a slow minute of the machine hits all alike.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.bench_spline import PINNED

SOURCE = Path(__file__).parents[3] / "shared" / "data" / "ravdess"
BATCH = 12
SIZE = {"height": 240, "width": 426, "frames": 50}
RATE = 22050

Call = Callable[[], Any]


def bare_decode(data: bytes) -> int:
    """Decode every frame of a video in one thread and throw it away: the floor."""
    import av

    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def plain(data: bytes, sound: bytes) -> None:
    """Decode with OpenCV in colour, loop over cells, call librosa one by one."""
    import librosa
    import soundfile

    from tests.oracles import audio, frames, hog3d

    rgb = frames.interpolated(frames.rgb_frames(data, 240, 426), 50)
    hog3d.hog3d(frames.gray(rgb))
    samples, rate = soundfile.read(io.BytesIO(sound), dtype="float32", always_2d=True)
    audio.spline_features(librosa.resample(samples.mean(1), orig_sr=rate, target_sr=RATE), RATE)


def stages(clip: Any) -> dict[str, Call]:
    """What a clip's extraction consists of, each part on its own."""
    from emodask import media
    from emodask.features.audio import bspline, descriptors, variants
    from emodask.features.hog3d import hog3d

    video, wav = clip.media_for("video"), clip.media_for("audio", "audio-only")
    data, sound = video.read(), wav.read()
    luma, rgb = (media.gray_frames(data, **SIZE, gray=gray) for gray in ("luma", "rgb"))
    samples = media.mono_samples(sound, rate=RATE)
    made = list(variants.variants(samples, RATE).values())
    curves = [descriptors.descriptors(variant, RATE) for variant in made]
    return {
        "decode, thrown away": lambda: bare_decode(data),
        "read from zips": lambda: (video.read(), wav.read()),
        "decode to gray, luma": lambda: media.gray_frames(data, **SIZE, gray="luma"),
        "decode to gray, rgb": lambda: media.gray_frames(data, **SIZE, gray="rgb"),
        "HOG3D, luma": lambda: hog3d(luma),
        "HOG3D, rgb": lambda: hog3d(rgb),
        "wav to mono": lambda: media.mono_samples(sound, rate=RATE),
        "noise, pitches, speeds": lambda: variants.variants(samples, RATE),
        "34 curves, 8 variants": lambda: [descriptors.descriptors(one, RATE) for one in made],
        "B-spline fit": lambda: [
            np.einsum("bt,ct->bc", bspline.projector(c.shape[1]), c) for c in curves
        ],
        "plain reference": lambda: plain(data, sound),
    }


def batches(clips: Sequence[Any], folder: Path) -> dict[str, Call]:
    """A task as a worker runs it, for either gray: a batch from its zips to committed rows."""
    from emodask.batches import Batch, process_batch
    from emodask.job import load_job, parse_job
    from emodask.store import StoreAddress, prepare

    chosen = tuple(
        replace(clips[i % len(clips)], clip_id=f"01-01-01-01-01-01-{i + 1:02}")
        for i in range(BATCH)
    )
    found: dict[str, Call] = {}
    for gray in ("luma", "rgb"):
        settings = load_job("hog3d-spline").settings()
        settings["features"]["hog3d"]["gray"] = gray
        job = parse_job(settings)
        address = StoreAddress.of(folder / f"{gray}.zarr")
        prepare(address, job, chosen)
        batch = Batch(0, chosen, (True,) * BATCH, retry=True)

        task = partial(process_batch, job, address, batch, isolated=True)
        # Each has a thread and so a decoder process of its own, kept from one round to the next.
        worker = ThreadPoolExecutor(1)
        found[f"whole extraction, {gray}"] = partial(_result, worker, task)
    return found


def _result(worker: ThreadPoolExecutor, task: Call) -> None:
    outcome = worker.submit(task).result()
    assert outcome.computed == BATCH, outcome


def measure(source: Path, repeats: int) -> dict[str, Any]:
    """Median milliseconds a clip of every stage and of the whole, all by turns."""
    from emodask import scan
    from emodask.cluster.threads import pin_threads

    pin_threads()
    clips = [
        clip
        for clip in scan(f"{source}/*.zip").clips
        if clip.media_for("video", "video-only") and clip.media_for("audio", "audio-only")
    ]
    if not clips:
        raise SystemExit(f"{source}: no clip with a video and a wav; pass --source")
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        whole = batches(clips, Path(folder))
        parts = [stages(clip) for clip in clips]
        for round_ in range(repeats + 1):
            for name in parts[0]:
                if name == "plain reference" and round_ > 1:
                    continue
                begin = time.perf_counter()
                for part in parts:
                    part[name]()
                mean = (time.perf_counter() - begin) / len(parts)
                taken.setdefault(name, []).append(1000 * mean)
            for name, run in whole.items():
                begin = time.perf_counter()
                run()
                taken.setdefault(name, []).append(1000 * (time.perf_counter() - begin) / BATCH)
    # The first round compiled, started decoders and filled caches.
    median = {name: statistics.median(values[1:]) for name, values in taken.items()}
    floor = median["decode, thrown away"]
    return {
        "clips": len(clips),
        "milliseconds": median,
        "ratio_to_decode": {name: value / floor for name, value in median.items()},
        "times_the_plain_reference": median["plain reference"] / median["whole extraction, rgb"],
        "peak_mb_worker": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Print one table, or JSON."""
    if not PINNED.items() <= os.environ.items():
        # Libraries read these once, when they are loaded: begin again with them set.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | PINNED)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=SOURCE, help="folder of RAVDESS zips")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    result = measure(chosen.source, chosen.repeats)
    if chosen.json:
        print(json.dumps(result))
        return
    print(f"{result['clips']} clips, one thread, median of {chosen.repeats}, a clip\n")
    print(f"{'':28}{'ms':>8}{'x decode':>10}")
    for name, ratio in result["ratio_to_decode"].items():
        print(f"{name:28}{result['milliseconds'][name]:8.1f}{ratio:10.2f}")
    print(f"\nthe plain reference takes {result['times_the_plain_reference']:.1f}x as long")


if __name__ == "__main__":
    main()
