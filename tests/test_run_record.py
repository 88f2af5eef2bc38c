"""Promises of run.json: it is there however a run ends, says how, and nothing it should not."""

from __future__ import annotations

import json

import pytest

from emodask import pipeline
from emodask.errors import EmodaskError, EvaluationError, StoreError
from emodask.extraction import Progress
from emodask.job import digest
from emodask.pipeline import run
from emodask.run_record import RunRecorder
from tests.media_files import tone, wav, zip_of
from tests.servers.object_stores import ObjectStore

COUNTS = {"pending": 3, "done": 1, "failed": 1, "incomplete": 0}


def record_of(out) -> dict:
    return json.loads((out / "run.json").read_text())


def test_a_run_that_finished_says_what_it_did(corpus, small_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(small_job, f"{corpus}/*.zip", "out")
    record = record_of(tmp_path / "out")
    assert (record["schema"], record["state"], record["exit_code"]) == (1, "finished", 0)
    assert record["clips"] == {
        "total": 24,
        "done": 24,
        "failed": 0,
        "incomplete": 0,
        "pending": 0,
        "computed": 24,
    }
    assert list(record["seconds"]) == ["scan", "extract", "evaluate", "fit"]
    assert record["job"] == {
        "name": "small",
        "extraction_digest": digest(small_job.extraction()),
        "settings_digest": digest(small_job.settings()),
    }
    uar = result.metrics["protocols"]["loso"]["models"]["svc"]["uar"]
    assert record["figures"]["loso"]["models"]["svc"]["uar"] == uar
    assert record["cluster"]["kind"] == "sync"
    assert {"emodask", "python", "numpy", "zarr", "dask", "av"} <= set(record["versions"])
    assert record["started"].endswith("Z")
    assert record["ended"] >= record["started"]
    assert str(corpus.parent) not in (tmp_path / "out" / "run.json").read_text()
    assert [path.name for path in (tmp_path / "out").glob("*run*")] == ["run.json"]


def test_clips_that_fail_are_listed_with_reasons_and_without_folders(small_job, tmp_path):
    name = "Actor_{a:02d}/03-01-{:02d}-01-01-01-{a:02d}.wav"
    broken = {name.format(e, a=a): b"RIFF" for e in (4, 6) for a in (1, 2)}
    zip_of(tmp_path / "a.zip", {name.format(3, a=1): wav(tone()), **broken})
    result = run(small_job, str(tmp_path / "a.zip"), tmp_path / "out")
    record = record_of(tmp_path / "out")
    assert result.exit_code == 1
    assert record["exit_code"] == 1
    assert record["failures"]["count"] == 4
    failure = record["failures"]["first"][1]
    assert failure["clip"] == "01-06-01-01-01-01"
    assert "03-01-06-01-01-01-01.wav" in failure["reason"]
    assert record["missing"] == {"video": 5}
    # One clip of one actor is left: nothing can be learnt, and the record says so.
    assert record["state"] == "failed"
    assert record["error"]
    assert str(tmp_path) not in json.dumps(record)


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (StoreError("/some/where/s.zarr: written under other settings"), "failed", 2),
        (EvaluationError("too few actors"), "failed", 1),
        (RuntimeError("http://me:hush@host/?token=hush broke"), "failed", 1),
        (KeyboardInterrupt(), "interrupted", 130),
        (SystemExit(143), "interrupted", 143),
    ],
)
def test_however_a_run_ends_its_record_says_so(
    small_job, tmp_path, monkeypatch, error, state, code
):
    def extract(*arguments, on_progress, **options):
        on_progress(Progress(5, COUNTS, 0, 5))
        on_progress(Progress(5, COUNTS, 2, 5, (("clip", "/home/jane doe/x.wav: why"),), ("lost",)))
        assert record_of(tmp_path)["state"] == "running"
        raise error

    monkeypatch.setattr(pipeline, "extract", extract)
    with pytest.raises(type(error)):
        run(small_job, "a.zip", tmp_path)
    record = record_of(tmp_path)
    assert (record["state"], record["exit_code"]) == (state, code)
    assert record["error"]
    assert record["ended"]
    assert record["clips"] == {"total": 5, **COUNTS, "computed": 2}
    assert record["failures"] == {"count": 1, "first": [{"clip": "clip", "reason": "x.wav: why"}]}
    assert record["not_computed"] == {"count": 1, "first": ["lost"]}
    text = json.dumps(record)
    assert "hush" not in text
    assert "/some/where" not in text


def test_an_end_after_the_end_is_recorded_if_it_changes_it(small_job, tmp_path):
    recorder = RunRecorder(str(tmp_path / "run.json"), "run", small_job, "a.zip")

    def finish_and_be_stopped() -> None:
        with recorder:
            with recorder:
                recorder.end("finished", 0)
            assert record_of(tmp_path)["state"] == "finished"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish_and_be_stopped()
    assert record_of(tmp_path)["exit_code"] == 130


def test_many_failures_are_counted_and_some_listed(small_job, tmp_path):
    with RunRecorder(str(tmp_path / "run.json"), "run", small_job, "a.zip") as recorder:
        news = recorder.watching(None)
        news(Progress(500, COUNTS, 0, 500, tuple((str(i), "why") for i in range(400))))
    failures = record_of(tmp_path)["failures"]
    assert failures["count"] == 400
    assert len(failures["first"]) == 100


def test_a_record_that_cannot_be_written_is_an_error_that_says_where(small_job, tmp_path):
    (tmp_path / "file").write_text("in the way")
    where = str(tmp_path / "file" / "run.json")
    recorder = RunRecorder(where, "run", small_job, "a.zip")
    with pytest.raises(EmodaskError, match=r"file/run\.json: cannot be written"), recorder:
        recorder.end("finished", 0)


def test_the_record_of_a_run_into_a_bucket_lies_in_the_bucket(
    rclone: ObjectStore, small_job, corpus
):
    out = f"{rclone.url}/recorded"
    run(small_job, f"{corpus}/*.zip", out, storage_options=rclone.options)
    fs = rclone.filesystem()
    record = json.loads(fs.cat_file(f"{out}/run.json"))
    assert record["state"] == "finished"
    assert record["clips"]["done"] == 24
