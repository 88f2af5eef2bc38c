"""What a command line keeps to itself, and that results say which one they came from."""

from __future__ import annotations

import pytest

from emodask.command_line import command_line, shown, typed
from emodask.evaluation.evaluate import evaluate

SECRET = "pl4ntedQ7zXw9vK3"


@pytest.mark.parametrize(
    "words",
    [
        ["--storage-option", f"s3:secret={SECRET}"],
        ["--storage-option", f'{{"token": 1}}={SECRET}'],
        [f"--storage-option=key={SECRET}"],
        ["--source", f"https://me:{SECRET}@host/a.zip?sig={SECRET}"],
        [f"--out=s3://{SECRET}@bucket/x"],
        ["-s", f"zip://a.wav::https://me:{SECRET}@host/a.zip"],
        ["--source", f"az://box/a.zip?token={SECRET}"],
    ],
)
def test_no_credential_of_a_command_line_is_shown(words):
    line = shown(["run", "spline", *words])
    assert SECRET not in line
    assert line.startswith("emodask run spline ")


def test_own_folders_are_not_shown_but_relative_ones_are():
    line = shown(["evaluate", "jobs/spline.toml", "--store", "/home/me/s.zarr", "--report=/me/r"])
    assert line == "emodask evaluate jobs/spline.toml --store s.zarr --report=r"


def test_metrics_say_which_command_made_them_and_python_calls_none(
    small_job, small_store, tmp_path
):
    with typed(["evaluate", "small.toml", "--store", "/home/me/s.zarr"]):
        found = evaluate(small_job, small_store, tmp_path)
    assert found["command"] == "emodask evaluate small.toml --store s.zarr"
    assert found["command"] in (tmp_path / "index.html").read_text()
    assert command_line() == ""
