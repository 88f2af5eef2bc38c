"""Promises of the command: tables of 80 columns, JSON, CSV, pictures, exit codes."""

from __future__ import annotations

import csv
import io
import json
import sys

import numpy as np
import pytest
from matplotlib.image import imread

from emodask import cli
from emodask.display.timelines import _MOST_STEPS
from emodask.prediction import Step, Timeline
from emodask.prediction.picture import COLOURS, draw_timelines
from tests.media_files import tone, wav


@pytest.fixture
def emodask(monkeypatch, capsys):
    """Run a command line in this process: (exit code, standard output, standard error)."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["emodask", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_table_of_80_columns_ends_with_the_verdict(emodask, voice, recordings):
    code, out, _ = emodask(
        "predict", voice, recordings / "talk.wav", "--timeline", "--window", "1", "--step", "0.5"
    )
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "talk: 0:02, 4 windows of 1 s, a step of 0.5 s" in out
    assert "0:00.5  0:01.5" in out
    assert "verdict: " in out
    assert "softmax of decision values, not calibrated" in out


def test_json_and_csv_say_the_same(emodask, voice, recordings, tmp_path):
    (tmp_path / "pause.wav").write_bytes(
        wav(np.concatenate([tone(1.0), np.zeros(48_000, np.float32)]))
    )
    options = [tmp_path / "pause.wav", "--timeline", "--window", "1", "--step", "1"]
    code, out, _ = emodask("predict", voice, *options, "--json")
    (found,) = json.loads(out)
    assert code == 0
    assert found["steps"][1]["reason"].startswith("silence")
    assert found["trust"]["calibrated"] is False
    assert next(iter(found["steps"][0]["top_two"])) == found["emotion"]
    code, out, _ = emodask("predict", voice, *options, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["part"] for row in rows] == ["step", "step", "whole"]
    assert rows[1]["first"] == ""
    assert rows[1]["reason"].startswith("silence")
    assert rows[2]["first"] == found["emotion"]
    for name, chance in found["probabilities"].items():
        assert float(rows[2][name]) == pytest.approx(chance, abs=1e-6)


def test_a_file_that_fails_sets_the_exit_code_and_the_others_are_shown(
    emodask, voice, recordings, tmp_path
):
    (tmp_path / "bad.wav").write_bytes(b"no media")
    files = [tmp_path / "bad.wav", recordings / "talk.wav"]
    code, out, _ = emodask("predict", voice, *files, "--timeline", "--window", "1")
    assert code == 1
    assert "bad: not a media file that can be read" in out
    assert "verdict: " in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--step", "1"], "--step belongs to --timeline"),
        (["--csv"], "--csv belongs to --timeline"),
        (["--timeline", "--csv", "--json"], "choose one"),
        (["--timeline", "--adapt"], "--adapt judges whole clips, --timeline windows"),
        (["--timeline", "--picture", "talk.gif"], "must end in .png or .svg"),
        (["--timeline", "--picture", "/no/such/folder/talk.png"], "there is no folder"),
        (["--timeline", "--picture", "s3://bucket/talk.png"], "a file on this machine"),
        (["--timeline", "--window", "600"], "0.1 to 60 s would be right"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(emodask, voice, recordings, options, message):
    code, out, err = emodask("predict", voice, recordings / "talk.wav", *options)
    assert code == 2
    assert message in " ".join((out + err).split())


def test_pictures_are_written_one_a_clip(emodask, voice, recordings, tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("one", "two"):
        (tmp_path / "a" / f"{name}.wav").write_bytes((recordings / "talk.wav").read_bytes())
    options = ["--timeline", "--window", "1", "--step", "0.5", "--picture"]
    code, _, _ = emodask("predict", voice, tmp_path / "a", *options, tmp_path / "t.svg")
    assert code == 0
    assert sorted(p.name for p in tmp_path.glob("*.svg")) == ["t-one.svg", "t-two.svg"]
    drawn = (tmp_path / "t-one.svg").read_text()
    assert ">most<" in drawn
    assert all(f">{name}<" in drawn for name in COLOURS)
    emodask("predict", voice, recordings / "talk.wav", *options, tmp_path / "t.png")
    assert imread(tmp_path / "t.png").shape[:2] == (660, 1500)


def test_pictures_show_what_was_not_judged(tmp_path):
    likely = dict.fromkeys(COLOURS, 0.05) | {"angry": 0.65}
    steps = (Step(0, 2, 1.5, likely), Step(1, 3, 1.0, {}, "silence: no sound"), Step(2, 4, 1.5, {}))
    whole = Timeline("<a> $x$", (), 4.0, 2.0, "1", steps, None)
    broken = Timeline("none", (), 0.0, 2.0, "1", (), None, "not a media file")
    (file,) = draw_timelines([whole, broken], tmp_path / "t.svg")
    assert file.name == "t-_a___x_.svg"
    drawn = file.read_text()
    assert "not judged: 2.5 s" in drawn
    assert "&lt;a&gt; $x$: angry 65%" in drawn


def test_a_long_timeline_is_shown_as_stretches(capsys):
    from rich.console import Console

    from emodask.display.timelines import show_timelines

    happy, sad = (
        {"happy": 0.8, "sad": 0.15, "angry": 0.05},
        {"happy": 0.1, "sad": 0.7, "angry": 0.2},
    )
    count = _MOST_STEPS + 1
    steps = tuple(Step(i, i + 3, 1.0, happy if i < 60 else sad) for i in range(count))
    timeline = Timeline("talk", (), float(count), 3.0, "1", steps, None)
    show_timelines(Console(width=80), [timeline])
    out = capsys.readouterr().out
    assert "0:00.0  1:00.0  happy        80.0%  sad    15.0%" in out
    assert "1:00.0  2:01.0  sad          70.0%  angry  20.0%" in out
    assert "list every window" in " ".join(out.split())


def test_clips_of_a_speaker_are_adapted_together(emodask, both, corpus):
    code, out, _ = emodask("predict", both, f"{corpus}/*.zip", "--adapt")
    assert code == 0
    assert "adapted to 3 speakers by their own clips" in out
    code, out, _ = emodask("predict", both, f"{corpus}/*.zip", "--adapt", "--json")
    assert {entry["adapted_to_speaker"] for entry in json.loads(out)} == {1, 2, 3}
