"""Bytes and requests that reading clips out of zips on a web server costs, beside what they hold.

Run ``python -m tests.benchmarks.bench_sources [--source FOLDER] [--json FILE]``. A server on
loopback counts; nothing here depends on time.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np

from tests.benchmarks import report
from tests.benchmarks.measuring import MEDIA
from tests.servers.web_files import web_files


def archive(clips: int, size: int, unwanted: int = 0) -> bytes:
    """A zip of so many wavs of random bytes, deflated, and of bytes that no clip is."""
    rng = np.random.default_rng(clips)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as listing:
        for i in range(clips):
            name = (
                f"03-01-{i % 8 + 1:02}-01-{i // 16 % 2 + 1:02}-{i // 8 % 2 + 1:02}-{i // 32 + 1:02}"
            )
            listing.writestr(f"Actor_{i // 32 + 1:02}/{name}.wav", rng.bytes(size))
        if unwanted:
            listing.writestr("readme.bin", rng.bytes(unwanted))
    return packed.getvalue()


def zips(source: Path | None) -> dict[str, bytes]:
    """Archives to serve: made ones, and real ones of a video actor and of all voices."""
    made = {
        "4 clips of 30 kB": archive(4, 30_000),
        "8 clips of 190 kB": archive(8, 190_000),
        "8 of 190 kB and 3 MB unwanted": archive(8, 190_000, 3_000_000),
        "240 clips of 20 kB": archive(240, 20_000),
    }
    folder = source or MEDIA
    real = {
        path.name: path.read_bytes()
        for path in sorted(folder.glob("*.zip"))
        if path.stat().st_size < 1 << 30
    }
    return {**made, **real}


def measure(chosen: argparse.Namespace) -> report.Report:
    """Read every clip of every archive and count."""
    from emodask import scan

    rows, bytes_over, requests_over, figures = [], [], [], {}
    for name, data in zips(chosen.source).items():
        served = name if name.endswith(".zip") else "a.zip"
        with web_files({served: data}) as site:
            files = [file for clip in scan(site.plain(served)).clips for file in clip.media]
            for file in files:
                file.read()
            sent, requests = site.sent, len(site.requests)
        with zipfile.ZipFile(io.BytesIO(data)) as listing:
            wanted = [i for i in listing.infolist() if i.filename.endswith((".wav", ".mp4"))]
            needed = len(data) - listing.start_dir + sum(info.compress_size for info in wanted)
        bytes_over.append(sent / needed)
        requests_over.append(requests - len(files))
        figures[name] = {"needed": needed, "sent": sent, "requests": requests}
        rows.append(
            (
                name,
                f"{len(data) / 1e6:.2f}",
                f"{needed / 1e6:.2f}",
                f"{sent / 1e6:.2f}",
                f"{sent / needed:.4f}",
                f"{len(files)} + {requests - len(files)}",
            )
        )
    table = report.Table(
        "Zips on a web server",
        ("", "MB", "needed", "sent", "ratio", "requests"),
        tuple(rows),
        "Needed: the wanted members as they lie there, compressed, and the directory.",
    )
    targets = (
        report.Target("bytes sent : members and directory", max(bytes_over), 1.02),
        report.Target("requests beyond one a member", max(requests_over), 3),
    )
    return report.Report((table,), targets, figures)


def options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument("--source", type=Path, metavar="FOLDER", help="of zips to serve as well")


if __name__ == "__main__":
    report.main("sources", __doc__, measure, options)
