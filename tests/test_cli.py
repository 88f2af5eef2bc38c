"""Promises of the command line: messages that can be acted on, no traceback, honest exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from emodask import cli
from tests.conftest import SMALL
from tests.media_files import moving_bars, mp4, tone, wav, zip_of
from tests.test_extraction import as_toml

COMMANDS = [
    "scan",
    "download",
    "extract",
    "info",
    "verify",
    "evaluate",
    "fit",
    "pretrain",
    "predict",
    "serve",
    "compare",
    "leaderboard",
    "plot",
    "run",
    "synth",
    "demo",
    "jobs",
]


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


@pytest.fixture
def job_file(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(as_toml(SMALL))
    return path


@pytest.fixture
def one_clip(tmp_path):
    clip = mp4(moving_bars(20), sound=tone())
    return zip_of(tmp_path / "a.zip", {"Actor_01/01-01-03-01-01-01-01.mp4": clip})


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns_and_has_an_example(emodask, command):
    code, out, _ = emodask(command, "--help")
    assert code == 0
    assert "Example" in out
    assert f"emodask {command}" in out
    assert max(map(len, out.splitlines())) <= 80


def test_every_command_is_tested_here_and_listed():
    listed = [info.name or info.callback.__name__ for info in cli.app.registered_commands]
    assert sorted(listed) == sorted(COMMANDS)


def test_importing_the_command_line_stays_light():
    heavy = ["dask", "distributed", "librosa", "numba", "sklearn", "zarr", "xarray", "cv2", "av"]
    code = (
        "import sys, emodask, emodask.cli; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_scan_prints_a_table_or_json(emodask, corpus):
    code, out, _ = emodask("scan", f"{corpus}/*.zip")
    assert code == 0
    assert "24 clips of 3 actors; files: 24 audio-only, 24 full-av, 24 video-only" in out
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = emodask("scan", f"{corpus}/*.zip", "--json")
    found = json.loads(out)
    assert len(found["clips"]) == 24
    assert found["clips"][0]["emotion"] == "neutral"


def test_scan_of_a_source_without_clips_fails(emodask, tmp_path):
    zip_of(tmp_path / "a.zip", {"notes.txt": b"x"})
    code, out, _ = emodask("scan", tmp_path / "a.zip")
    assert code == 1
    assert "notes.txt: not a RAVDESS name" in out


def test_the_whole_path_from_zip_to_prediction(emodask, corpus, job_file, tmp_path):
    out_folder = tmp_path / "out"
    code, out, err = emodask(
        "run", job_file, "-s", f"{corpus}/*.zip", "--out", out_folder, "--scheduler", "sync"
    )
    assert code == 0, err
    assert "24 clips: 24 done, 0 failed, 0 incomplete" in out
    assert out.index("loso") < out.index("fit the bundle") < out.index("bundle: ")
    for name in ("store.zarr", "report/metrics.json", "report/index.html", "bundle/bundle.json"):
        assert (out_folder / name).exists()
    assert "gradient magnitude" in (out_folder / "report" / "index.html").read_text()
    assert emodask("verify", out_folder / "store.zarr")[0] == 0
    code, out, _ = emodask("info", out_folder / "store.zarr", "--json")
    assert json.loads(out)["counts"]["done"] == 24
    code, out, _ = emodask("info", out_folder / "store.zarr")
    assert "24 done" in out
    code, out, _ = emodask("predict", out_folder / "bundle", corpus / "Video_Speech_Actor_02.zip")
    assert code == 0
    assert "01-05-01-01-01-02" in out
    code, out, _ = emodask(
        "predict", out_folder / "bundle", corpus / "Video_Speech_Actor_02.zip", "--json"
    )
    verdicts = json.loads(out)
    assert len(verdicts) == 8
    assert set(verdicts[0]["probabilities"]) == set(
        ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
    )


def test_separate_steps_do_what_run_does(emodask, corpus, job_file, tmp_path):
    store = tmp_path / "s.zarr"
    sync = ("--scheduler", "sync")
    assert emodask("extract", job_file, "-s", f"{corpus}/*.zip", "--store", store, *sync)[0] == 0
    plain = (*sync, "--no-pictures")
    code, out, _ = emodask(
        "evaluate", job_file, "--store", store, "--report", tmp_path / "r", "--json", *plain
    )
    assert code == 0
    assert "What the models see" not in (tmp_path / "r" / "index.html").read_text()
    assert json.loads(out) == json.loads((tmp_path / "r" / "metrics.json").read_text())
    code, out, _ = emodask(
        "fit", job_file, "--store", store, "--bundle", tmp_path / "b", "--model", "svc"
    )
    assert (code, "it needs audio" in out) == (0, True)


def test_failed_clips_are_listed_and_exit_with_1(emodask, job_file, tmp_path):
    zip_of(
        tmp_path / "a.zip",
        {
            "01-01-03-01-01-01-01.mp4": mp4(moving_bars(20), sound=tone()),
            "03-01-04-01-01-01-01.wav": b"broken",
        },
    )
    store = tmp_path / "s.zarr"
    code, out, err = emodask(
        "extract", job_file, "-s", tmp_path / "a.zip", "--store", store, "--scheduler", "sync"
    )
    assert code == 1
    assert "2 clips: 1 done, 1 failed, 0 incomplete" in out
    assert "a.zip/03-01-04-01-01-01-01.wav" in out
    assert err == ""


def test_verify_exits_with_1_on_damage(emodask, one_clip, job_file, tmp_path):
    store = tmp_path / "s.zarr"
    emodask("extract", job_file, "-s", one_clip, "--store", store, "--scheduler", "sync")
    chunk = store / "spline" / "c" / "0" / "0" / "0"
    chunk.write_bytes(b"not a chunk")
    code, out, _ = emodask("verify", store)
    assert code == 1
    assert "damaged rows 0 to 0" in out


def test_a_run_of_protocols_that_its_clips_do_not_allow_is_refused_before_work(
    emodask, one_clip, job_file, tmp_path
):
    code, out, err = emodask(
        "run", job_file, "-s", one_clip, "--out", tmp_path / "o", "--scheduler", "sync"
    )
    assert code == 2
    assert "job small: protocol 'loso' needs clips of at least 2 actors; there is 1" in err
    assert "take it out of evaluation.protocols" in err
    assert "Traceback" not in out + err
    assert not (tmp_path / "o" / "store.zarr").exists()


def test_a_run_with_too_little_to_learn_from_says_so(emodask, one_clip, tmp_path):
    job_file = tmp_path / "default.toml"
    job_file.write_text(as_toml({k: v for k, v in SMALL.items() if k != "evaluation"}))
    code, out, err = emodask(
        "run", job_file, "-s", one_clip, "--out", tmp_path / "o", "--scheduler", "sync"
    )
    assert code == 1
    assert "1 clip: 1 done" in out
    assert "fewer than two emotions" in out
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scan", "absent.zip"], "absent.zip: no such file or folder"),
        (["scan", ""], "an empty source"),
        (["info", ""], "an empty store address"),
        (["verify", "absent.zarr"], "absent.zarr: there is no store"),
        (["info", "absent.zarr"], "there is no store"),
        (["predict", "absent", "a.mp4"], "absent: not a bundle"),
        (["extract", "absent.toml", "-s", "x", "--store", "s"], "no such job file; emodask ships"),
        (["extract", "spline", "-s", "x.zip", "--store", "s"], "x.zip: no such file"),
        (
            ["extract", "spline", "-s", "x", "--store", "s", "--scheduler", "magic"],
            "unknown scheduler 'magic'; use local, sync",
        ),
        (["scan", "x", "--storage-option", "anon"], "takes KEY=VALUE"),
        (["synth", "d", "--size", "big"], "expected WIDTHxHEIGHT"),
        (["synth", "d", "--size", "63x35"], "even"),
    ],
)
def test_misuse_exits_with_2_and_one_line(emodask, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = emodask(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("emodask: ")
    assert err.count("\n") == 1
    assert "Traceback" not in out + err


@pytest.mark.parametrize("arguments", [["nonsense"], ["scan"], ["scan", "x", "--nonsense"]])
def test_unknown_commands_and_options_exit_with_2(emodask, arguments):
    assert emodask(*arguments)[0] == 2


def test_secrets_in_storage_options_are_not_printed(emodask, tmp_path):
    code, out, err = emodask("scan", "memory://nowhere/x.zip", "--storage-option", "secret=hunter2")
    assert code == 2
    assert "hunter2" not in out + err


def test_synth_writes_zips_that_scan_reads(emodask, tmp_path):
    dest = tmp_path / "c"
    arguments = ["synth", dest, "--actors", "1", "--clips", "2", "--size", "64x36"]
    assert emodask(*arguments)[0] == 0
    assert "2 clips of 1 actor" in emodask("scan", dest)[1]
    code, _, err = emodask(*arguments)
    assert (code, "already holds" in err) == (2, True)


def test_jobs_lists_what_is_shipped(emodask):
    code, out, _ = emodask("jobs")
    assert code == 0
    for name in ("hog3d-spline", "hog3d", "spline"):
        assert name in out
    said = " ".join(out.split())
    assert "needs emodask[speech], --weights speech_embedding=FILE" in said
    assert "needs --table action_units=FILE" in said
    assert "needs emodask[opensmile]" in said
    assert said.count("needs emodask[xgboost]") == 1


def test_a_demo_made_before_is_reused(tmp_path, monkeypatch):
    from emodask import demo

    made = []

    def fake(folder, **options):
        made.append(options["actors"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.zip").write_bytes(wav(tone(0.1)))
        return [folder / "a.zip"]

    monkeypatch.setattr(demo, "synthesize", fake)
    for actors in (2, 2, 3):
        assert demo.demo_media(str(tmp_path), actors, 8) == [str(tmp_path / "media" / "a.zip")]
    assert made == [2, 3]
    (tmp_path / "media" / "a.zip").unlink()
    demo.demo_media(str(tmp_path), 3, 8)
    assert made == [2, 3, 3]


def test_the_demo_names_a_command_that_serves_its_bundle_here(tmp_path, monkeypatch):
    import shlex

    from emodask import demo

    # ``make demo`` runs it by a path, with nothing of the environment on PATH.
    typed = tmp_path / "emodask"
    typed.write_text(f"#!{sys.executable}\nfrom emodask.cli import main\nmain()\n")
    typed.chmod(0o755)
    commands = {}
    for name, program, path in [
        ("make", str(typed), "/nowhere"),
        ("installed", str(typed), str(tmp_path)),
        ("module", str(tmp_path / "__main__.py"), "/nowhere"),
    ]:
        monkeypatch.setattr(sys, "argv", [program, "demo"])
        monkeypatch.setenv("PATH", path)
        commands[name] = demo.serve_command("my demo/bundle")
    bundle = "serve 'my demo/bundle'"
    assert commands == {
        "make": f"{typed} {bundle}",
        "installed": f"emodask {bundle}",
        "module": f"{sys.executable} -m emodask {bundle}",
    }
    for command in (commands["make"], commands["module"]):
        help_of = [*shlex.split(command), "--help"]
        assert b"serve" in subprocess.run(help_of, capture_output=True, check=True).stdout
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "gradio" else name)
    assert demo.serve_command("bundle") is None


def test_an_unexpected_error_is_one_line_unless_debugging(emodask, monkeypatch):
    def breaks():
        raise RuntimeError("https://me:hunter2@host/x broke\nsecond line")

    monkeypatch.setattr("emodask.job_files.shipped_jobs", breaks)
    monkeypatch.delenv("EMODASK_DEBUG", raising=False)
    code, out, err = emodask("jobs")
    assert code == 1
    assert err.startswith("emodask: unexpected RuntimeError: https://host/x broke. ")
    assert "hunter2" not in out + err
    monkeypatch.setenv("EMODASK_DEBUG", "1")
    with pytest.raises(RuntimeError, match="broke"):
        emodask("jobs")
