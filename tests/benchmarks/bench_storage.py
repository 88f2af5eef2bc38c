"""Size and speed of stored features by codec, number type and sharding, through zarr itself.

Run ``python -m tests.benchmarks.bench_storage [--source FOLDER] [--repeats 5] [--json FILE]``. The
folder holds RAVDESS zips: ``Video_Speech_Actor_01.zip`` with at least six mp4 files, and an
``Audio_Speech_Actors_*.zip``. One chunk is twelve real clips; where there are fewer, the first ones
come again mirrored. Blosc, zarr and BLAS have one thread; cases take turns; times are medians of
CPU time. Written and read are a memory store and a local disk, which has its pages in memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numcodecs.blosc
import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.storage import LocalStore, MemoryStore

from tests.benchmarks.bench_extract import BATCH, bare_decode
from tests.benchmarks.measuring import MEDIA, pin

SIZE = {"height": 240, "width": 426, "frames": 50}
RATE = 22050
MODES, RANKS = (1, 2, 3, 5), (8, 8, 3, 1)

ZSTD = {f"zstd {level}": ZstdCodec(level=level) for level in (-1, 1, 3, 5, 9)}
BLOSC = {
    f"blosc {name} {level} {shuffle}": BloscCodec(cname=name, clevel=level, shuffle=shuffle)
    for name, levels in (("lz4", (5,)), ("zstd", (1, 3)))
    for shuffle in ("noshuffle", "shuffle", "bitshuffle")
    for level in levels
}
CODECS: dict[str, Any] = {
    "none": None,
    "crc32c": Crc32cCodec(),
    "zstd 0 (zarr's default)": ZstdCodec(level=0),
    **ZSTD,
    **BLOSC,
}
CHOSEN = "zstd 1"
FEWER = (CHOSEN, "blosc zstd 1 shuffle", "blosc zstd 1 bitshuffle")
PRECISIONS = ("keep 16 bits", "keep 12 bits", "keep 10 bits", "keep 8 bits", "keep 7 bits")
INNER_ROWS = (4, 1)


@dataclass
class Case:
    """One way to store one chunk, and what was measured of it."""

    array: str
    precision: str
    codec: str
    values: np.ndarray = field(repr=False)
    rows: int = BATCH
    kb: float = 0.0
    taken: dict[str, list[float]] = field(default_factory=dict)

    def create(self, store: Any) -> Any:
        """An empty array of this kind: chunks of a batch, or shards of a batch in such chunks."""
        sharded = self.rows < BATCH
        return zarr.create_array(
            store,
            shape=self.values.shape,
            chunks=(self.rows, *self.values.shape[1:]),
            shards=self.values.shape if sharded else None,
            dtype=self.values.dtype,
            compressors=CODECS[self.codec],
            filters=None,
            fill_value=0,
            overwrite=True,
        )

    def turn(self, folder: Path) -> None:
        """Write and read once in memory, once on disk, and one row alone."""
        for place, store in (("memory", MemoryStore()), ("disk", LocalStore(folder / "chunk"))):
            array = self.create(store)
            self.timed(f"write {place}", lambda array=array: array.__setitem__(..., self.values))
            read = self.timed(f"read {place}", lambda array=array: array[...])
            assert np.array_equal(read, self.values)
            self.kb = array.nbytes_stored() / 1000 / BATCH
        self.timed("one row", lambda: array[5], clips=1)

    def timed(self, what: str, call: Callable[[], Any], clips: int = BATCH) -> Any:
        """Call, and note the milliseconds of CPU time a clip."""
        begin = time.process_time()
        result = call()
        spent = 1000 * (time.process_time() - begin) / clips
        self.taken.setdefault(what, []).append(spent)
        return result

    def medians(self) -> dict[str, float]:
        """Milliseconds a clip, without the first round, which warmed up."""
        return {what: statistics.median(taken[1:]) for what, taken in self.taken.items()}

    def row(self) -> dict[str, Any]:
        """What is printed."""
        said = {key: value for key, value in asdict(self).items() if key not in ("values", "taken")}
        # In proportion to the numbers as they would be without any of this: float32.
        ratio = self.values[0].size * 4 / 1000 / self.kb
        return {**said, "ratio": ratio, "milliseconds": self.medians()}


def rounded(values: np.ndarray, precision: str) -> np.ndarray:
    """Round to a number of bits of the mantissa, half to even, or to another type."""
    if precision in ("float32", "float16"):
        return values.astype(precision)
    bits = values.view(np.uint32)
    dropped = 23 - int(precision.split()[1])
    half = np.uint32((1 << (dropped - 1)) - 1)
    even = (bits >> np.uint32(dropped)) & np.uint32(1)
    kept = (bits + half + even) & np.uint32((0xFFFFFFFF << dropped) & 0xFFFFFFFF)
    return kept.view(np.float32)


def real_chunks(source: Path) -> tuple[dict[str, np.ndarray], list[bytes]]:
    """One chunk of each feature from real clips, and the mp4 files that it came from."""
    from emodask import media, scan
    from emodask.features.hog3d import hog3d
    from emodask.features.spline import spline_features

    def files(pattern: str, most: int) -> list[bytes]:
        if not list(source.glob(pattern)):
            raise SystemExit(f"{source}: no {pattern} there; pass --source")
        found = [part for clip in scan(f"{source}/{pattern}").clips for part in clip.media]
        return [part.read() for part in found[:most]]

    videos = files("Video_Speech_Actor_01.zip", BATCH)
    if len(videos) < BATCH // 2:
        raise SystemExit(f"{source}: {len(videos)} mp4 files; {BATCH // 2} are needed")
    chunks = {}
    for gray in ("rgb", "luma"):
        frames = [media.gray_frames(data, **SIZE, gray=gray) for data in videos]
        mirrored = [np.ascontiguousarray(one[:, :, ::-1]) for one in frames]
        chunks[f"hog3d {gray}"] = np.stack([hog3d(one) for one in (frames + mirrored)[:BATCH]])
    sounds = [media.mono_samples(data, rate=RATE) for data in files("Audio_*.zip", BATCH)]
    chunks["spline"] = np.stack([spline_features(one, RATE) for one in sounds])
    return chunks, videos


def cases(chunks: dict[str, np.ndarray]) -> list[Case]:
    """Everything that is compared."""
    hog3d = chunks["hog3d rgb"]
    found = [Case("hog3d rgb", "float32", codec, hog3d) for codec in CODECS]
    found += [Case("hog3d rgb", "float32", CHOSEN, hog3d, rows) for rows in INNER_ROWS]
    for precision in PRECISIONS:
        less = rounded(hog3d, precision)
        found += [Case("hog3d rgb", precision, codec, less) for codec in FEWER]
    for name, values in chunks.items():
        if name != "hog3d rgb":
            some = ("none", "zstd 3", *FEWER, "blosc lz4 5 noshuffle")
            found += [Case(name, "float32", codec, values) for codec in some]
        half = rounded(values, "float16")
        found += [Case(name, "float16", codec, half) for codec in ("none", *FEWER)]
    return found


def tucker_pass(values: np.ndarray, folder: Path, repeats: int) -> dict[str, float]:
    """CPU milliseconds a clip of the first pass of the decomposition, from memory and stores."""
    import dask
    import dask.array

    from emodask.reduction.moments import moments

    made: dict[str, tuple[Case, Any]] = {}
    for precision, codec in (
        *(("float32", codec) for codec in ("none", CHOSEN, "zstd 3", "blosc lz4 5 noshuffle")),
        ("float16", CHOSEN),
    ):
        case = Case("hog3d rgb", precision, codec, rounded(values, precision))
        array = case.create(LocalStore(folder / f"{precision} {codec}"))
        array[...] = case.values
        made[f"{precision}, {codec}"] = case, dask.array.from_zarr(array)
    made["float32, in memory"] = Case("", "", "", values), values
    with dask.config.set(scheduler="synchronous"):
        for _ in range(repeats + 1):
            for case, array in made.values():
                case.timed("pass", lambda array=array: moments(array, MODES))
    return {name: case.medians()["pass"] for name, (case, _) in made.items()}


def measure(source: Path, repeats: int) -> dict[str, Any]:
    """Every case, by turns."""
    zarr.config.set({"async.concurrency": 1, "threading.max_workers": 1})
    numcodecs.blosc.set_nthreads(1)
    chunks, videos = real_chunks(source)
    compared = cases(chunks)
    floor = Case("", "", "", np.zeros((BATCH, 1)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(repeats + 1):
            for case in compared:
                case.turn(folder)
            floor.timed("decode", lambda: [bare_decode(data) for data in videos], len(videos))
        return {
            "decode_ms": floor.medians()["decode"],
            "zeros": {name: float((chunk == 0).mean()) for name, chunk in chunks.items()},
            "cases": [case.row() for case in compared],
            "tucker_pass_ms": tucker_pass(chunks["hog3d rgb"], folder, repeats),
        }


def show(found: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"decoding the mp4 of a clip alone: {found['decode_ms']:.0f} ms\n")
    head = ("array", "numbers", "codec", "rows", "kB", "ratio")
    times = ("write memory", "read memory", "write disk", "read disk", "one row")
    print("".join(f"{word:13}" for word in head[:2]) + f"{head[2]:26}", end="")
    print("".join(f"{word:>7}" for word in head[3:]) + "".join(f"{word:>14}" for word in times))
    for case in found["cases"]:
        print(f"{case['array']:13}{case['precision']:13}{case['codec']:26}{case['rows']:7}", end="")
        print(f"{case['kb']:7.0f}{case['ratio']:7.2f}", end="")
        print("".join(f"{case['milliseconds'][what]:14.2f}" for what in times))
    print("\nfirst pass of the Tucker decomposition, ms a clip")
    for name, spent in found["tucker_pass_ms"].items():
        print(f"{name:40}{spent:8.2f}")


def main() -> None:
    """Print tables; write all numbers as JSON too where a file is named."""
    pin()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=MEDIA, help="folder of RAVDESS zips")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for all numbers")
    chosen = parser.parse_args()
    found = measure(chosen.source, chosen.repeats)
    show(found)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
