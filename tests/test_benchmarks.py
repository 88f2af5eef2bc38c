"""Promises of the benchmarks: each says what it takes, and runs on clips of any size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emodask import networks
from tests.benchmarks.__main__ import NAMES, markdown
from tests.benchmarks.report import Table, Target
from tests.conftest import SMALL
from tests.test_extraction import as_toml

ROOT = Path(__file__).parents[1]
OURS = [
    name
    for name in NAMES
    if "report.main(" in (ROOT / "tests" / "benchmarks" / f"bench_{name}.py").read_text()
]


def bench(module: str, *arguments: object) -> str:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", OURS)
def test_every_benchmark_has_a_help_and_writes_json(name):
    printed = bench(f"tests.benchmarks.bench_{name}", "--help")
    assert "--json FILE" in printed


def test_an_unknown_benchmark_is_named():
    command = [sys.executable, "-m", "tests.benchmarks", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "no benchmark nonsense; there are" in done.stderr


def test_the_extraction_is_measured_part_by_part_with_targets(corpus, tmp_path):
    job, found = tmp_path / "small.toml", tmp_path / "found.json"
    job.write_text(as_toml(SMALL))
    printed = bench(
        "tests.benchmarks.bench_extract",
        *("--source", corpus, "--job", job, "--clips", 1, "--repeats", 1),
        *("--no-memory", "--json", found),
    )
    assert max(map(len, printed.splitlines())) <= 80
    result = json.loads(found.read_text())
    seconds = result["figures"]["seconds_a_clip"]
    assert {"decode, thrown away", "read from zips", "HOG3D, rgb", "wav to mono"} <= seconds.keys()
    assert {"write and commit", "whole extraction, rgb", "plain reference"} <= seconds.keys()
    assert all(one["cpu_s"] > 0 for one in seconds.values())
    assert [target["limit"] for target in result["targets"]] == [1.5, 2.1, 7]
    assert "| whole extraction, rgb |" in markdown(result)
    assert result["machine"]["cores"] >= 1


def test_the_memory_of_a_row_is_that_of_a_process_of_its_own(corpus, tmp_path):
    job = tmp_path / "small.toml"
    job.write_text(as_toml(SMALL))
    printed = bench(
        "tests.benchmarks.bench_extract",
        *("--source", corpus, "--job", job, "--clips", 1),
        *("--memory-of", "decode, thrown away"),
    )
    assert 10 < float(printed) < 1000


def test_zips_on_a_web_server_cost_what_they_hold(tmp_path):
    """Byte and request counts do not depend on the machine: these targets are tests."""
    found = tmp_path / "found.json"
    bench("tests.benchmarks.bench_sources", "--source", tmp_path, "--json", found)
    targets = json.loads(found.read_text())["targets"]
    assert [(target["limit"], target["met"]) for target in targets] == [(1.02, True), (3, True)]


def test_networks_are_measured_at_their_jobs_sizes_beside_a_reference(tmp_path):
    if not networks.installed():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(networks.ABSENT)
    found = tmp_path / "found.json"
    sizes = ("--clips", 28, "--epochs", 1, "--repeats", 1)
    bench(
        "tests.benchmarks.bench_networks",
        *("--jobs", "mfcc-statistics-cnn", *sizes, "--json", found),
    )
    result = json.loads(found.read_text())
    row = result["figures"]["rows"]["mfcc-statistics-cnn/cnn"]
    assert row["parameters"] == 102_280
    assert row["peak_mib"] >= 100
    assert row["clips_per_cpu_s"] > 0
    assert row["svc"]["fit_cpu_s"] > 0
    assert "| mfcc-statistics-cnn/cnn | 102 280 |" in markdown(result)


def test_targets_say_whether_they_are_met():
    assert Target("", 1.5, 1.5).met
    assert not Target("", 1.51, 1.5).met
    assert Target("", 7.2, 7, at_most=False).row() == ("", "≥ 7", "7.2", "met")
    assert not Target("", 6.9, 7, at_most=False).met


def test_tables_align_and_become_markdown():
    table = Table("T", ("", "ms"), (("a", "1.0"), ("long", "12.0")), "Note.")
    assert table.text().splitlines()[2:-1] == [
        "        ms",
        "-" * 10,
        "a      1.0",
        "long  12.0",
        "-" * 10,
    ]
    assert "| long | 12.0 |" in table.markdown()
