"""Promises of tables in a job: rows matched, checked, stored, resumed and predicted like others."""

from __future__ import annotations

import json
import pickle
import sys

import numpy as np
import pytest

from emodask import batches, cli
from emodask.clip_rows import compute_clip
from emodask.clip_tables import clips_named, join
from emodask.errors import (
    BundleError,
    EvaluationError,
    JobError,
    SourceError,
    StoreError,
    UsageError,
)
from emodask.evaluation.clips import as_extracted, usable_clips
from emodask.evaluation.evaluate import evaluate
from emodask.extraction import extract
from emodask.fitting import fit
from emodask.job import digest, load_job, parse_job
from emodask.memory import plan_memory
from emodask.memory.clips import largest_clip
from emodask.models.bundle import load_bundle
from emodask.models.system import make_reducer
from emodask.prediction import predict
from emodask.sources.location import Location
from emodask.sources.names import ClipName
from emodask.sources.table import read_table
from emodask.store import StoreAddress, open_group, open_store, verify
from tests.media_files import tone, wav, zip_of
from tests.test_extraction import stored

COLUMNS = ("AU01_r", "AU02_r", "AU45_c")
CLIPS = [
    ClipName(1, emotion, 1, 1, repetition, actor).clip_id
    for actor in (1, 2, 3)
    for emotion in (3, 4, 5)
    for repetition in (1, 2)
]
SPOKEN = CLIPS[:6]
JOB = {
    "name": "tabled",
    "data": {"batch": 4},
    "features": {"action_units": {"kind": "table", "columns": ["AU*"]}},
    "models": {"logistic": {"kind": "logistic"}},
    "evaluation": {"protocols": ["loso"]},
}
BOTH = {
    **JOB,
    "features": {"spline": {"knots": 4}, "action_units": {"kind": "table"}},
    "models": {
        "logistic": {"kind": "logistic"},
        "voice": {"kind": "logistic", "features": ["spline"]},
    },
}


def numbers(clip_id: str) -> list[float]:
    """A clip's row: tells the emotions apart, with something of its own."""
    emotion = int(clip_id.split("-")[1])
    return [float(emotion), -2.0 * emotion, sum(map(ord, clip_id)) / 1000]


def write(path, clips=CLIPS, name="01-{}", change=lambda clip, row: row, columns=COLUMNS):
    lines = [",".join(["clip", *columns])]
    for clip in clips:
        lines.append(",".join([name.format(clip), *map(str, change(clip, numbers(clip)))]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def csv(tmp_path):
    return write(tmp_path / "au.csv")


@pytest.fixture
def emodask(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["emodask", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="module")
def voices(tmp_path_factory) -> str:
    """A zip with the sound of some of the clips."""
    folder = tmp_path_factory.mktemp("voices")
    names = {f"Actor/03-{clip}.wav": wav(tone(0.5)) for clip in SPOKEN}
    return str(zip_of(folder / "voices.zip", names))


def extracted(tmp_path, csv, settings=JOB, sources=(), name="s.zarr", **options):
    store = tmp_path / name
    job = parse_job(settings)
    return extract(job, sources, store, tables={"action_units": csv}, **options), store


def test_a_table_alone_gives_the_rows_and_every_number_is_stored(tmp_path, csv):
    summary, store = extracted(tmp_path, csv)
    assert (summary.total, summary.done, summary.missing, summary.extra) == (18, 18, {}, {})
    found = open_store(store)
    assert found.action_units.dims == ("clip", "action_units_column")
    assert tuple(found.action_units_column.values) == COLUMNS
    assert sorted(found.clip_id.values) == sorted(CLIPS)
    for i, clip in enumerate(found.clip_id.values):
        assert found.action_units.values[i].tolist() == np.float32(numbers(clip)).tolist()
        assert int(clip.split("-")[1]) == found.emotion.values[i]
        assert int(clip.split("-")[5]) == found.actor.values[i]
    assert not verify(store).damage


def test_where_the_table_lies_changes_no_byte_and_its_numbers_do(tmp_path, csv):
    first, store = extracted(tmp_path, csv)
    elsewhere = tmp_path / "other" / "place.csv"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(csv.read_bytes())
    second, again = extracted(tmp_path, elsewhere, name="t.zarr")
    assert stored(store) == stored(again)
    assert str(tmp_path).encode() not in b"".join(stored(store).values())
    assert first.digest == second.digest
    write(csv, change=lambda clip, row: [*row[:2], row[2] + (clip == CLIPS[7])])
    with pytest.raises(StoreError, match="table action_units has other numbers for the store's"):
        extracted(tmp_path, csv)
    third, _ = extracted(tmp_path, csv, name="u.zarr")
    assert third.digest != first.digest


def test_rows_of_no_clip_are_counted_and_change_nothing(tmp_path, csv, voices):
    happy_sad = {**JOB, "data": {"batch": 4, "emotions": ["happy", "sad"]}}
    first, _ = extracted(tmp_path, csv, happy_sad)
    write(csv, [clip for clip in CLIPS if clip.split("-")[1] != "05"])
    again, _ = extracted(tmp_path, csv, happy_sad)
    assert (first.total, again.computed, first.digest) == (12, 0, again.digest)
    summary, _ = extracted(tmp_path, write(csv), JOB, voices, name="other.zarr")
    assert (summary.total, summary.extra) == (len(SPOKEN), {"action_units": 12})


def test_a_clip_that_a_table_adds_to_a_store_is_named(tmp_path, csv):
    _, store = extracted(tmp_path, csv)
    before = stored(store)
    write(csv, [*CLIPS, "01-05-01-02-01-03"])
    with pytest.raises(StoreError, match=r"not in the store \(such as 01-05-01-02-01-03\)"):
        extracted(tmp_path, csv)
    assert stored(store) == before


def test_a_table_may_name_clips_of_tess(tmp_path):
    csv = tmp_path / "tess.csv"
    csv.write_text("clip,AU1\nTESS/OAF_Fear/OAF_back_fear.wav,1\nYAF_dog_ps,2\nOA_bite_sad,3\n")
    summary, store = extracted(tmp_path, csv)
    assert summary.done == 3
    found = open_store(store)
    assert dict(zip(found.clip_id.values, found.actor.values.tolist(), strict=True)) == {
        "OAF_back_fear": 101,
        "OAF_bite_sad": 101,
        "YAF_dog_ps": 102,
    }
    assert set(found.corpus.values) == {"tess"}


def test_running_again_computes_nothing_and_retrying_keeps_the_bytes(tmp_path, csv, monkeypatch):
    _, store = extracted(tmp_path, csv)
    before = stored(store)
    group = open_group(StoreAddress.of(store), "r+")
    group["status"][4:8] = 2
    assert extracted(tmp_path, csv, retry_failed=True)[0].computed == 4
    assert stored(store) == before
    monkeypatch.setattr(batches, "compute_clip", lambda *args: pytest.fail("computed again"))
    assert extracted(tmp_path, csv)[0].computed == 0
    assert stored(store) == before


def test_workers_get_the_numbers_and_not_the_file(tmp_path, csv):
    tables = {"action_units": read_table(Location(str(csv)))}
    catalogue = clips_named(tables)
    joined = join(parse_job(JOB), catalogue.clips, tables, catalogue)
    csv.unlink()
    work = pickle.loads(pickle.dumps(joined))
    assert str(tmp_path) not in repr(work.job.settings())
    row = compute_clip(work.job, work.clips[0])
    assert row.features["action_units"].tolist() == np.float32(numbers(CLIPS[0])).tolist()


def test_small_columns_beside_huge_ones_keep_their_digits(tmp_path):
    table = tmp_path / "mixed.csv"
    lines = ["clip,huge,small"]
    lines += [f"{clip},{1e9 + 1e7 * n},{1e-3 * (n % 3)}" for n, clip in enumerate(CLIPS)]
    table.write_text("\n".join(lines))
    settings = {**JOB, "features": {"action_units": {"kind": "table"}}}
    _, store = extracted(tmp_path, table, settings)
    job = as_extracted(parse_job(settings), StoreAddress.of(store))
    stored = open_group(StoreAddress.of(store))["action_units"][:]
    reduced = make_reducer(job, "action_units").fit(stored).transform(stored)
    small = reduced[:, 1] / reduced[:, 1].max()
    np.testing.assert_allclose(small, stored[:, 1] / stored[:, 1].max(), rtol=1e-5)


def test_a_clip_without_a_row_is_incomplete_and_serves_models_without_the_table(
    tmp_path, csv, voices
):
    summary, store = extracted(tmp_path, write(csv, SPOKEN[:-2]), BOTH, voices)
    assert (summary.done, summary.incomplete) == (4, 2)
    assert summary.missing == {"table action_units": 2}
    address = StoreAddress.of(store)
    rows = open_group(address)
    assert list(rows["error"][-2:]) == ["no row in: table action_units"] * 2
    assert np.isnan(rows["action_units"][-2:]).all()
    assert np.isfinite(rows["spline"][:]).all()
    job = as_extracted(parse_job(BOTH), address)
    assert len(usable_clips(job, address, ["voice"])) == 6
    assert len(usable_clips(job, address, ["logistic"])) == 4
    with pytest.raises(StoreError, match="or rows for those that had none"):
        extracted(tmp_path, write(csv), BOTH, voices, retry_failed=True)


def test_a_bundle_of_media_and_table_needs_both_of_a_clip(tmp_path, csv, voices):
    _, store = extracted(tmp_path, csv, BOTH, voices)
    fit(parse_job(BOTH), store, tmp_path / "b")
    bundle = load_bundle(tmp_path / "b")
    assert bundle.needs == ("audio", "table action_units")
    verdicts = predict(bundle, voices, tables={"action_units": write(csv, SPOKEN[1:])})
    errors = {v.clip: v.error for v in verdicts if v.error}
    assert errors == {SPOKEN[0]: f"no row in table action_units for clip {SPOKEN[0]}"}
    with pytest.raises(BundleError, match=r"needs the table action_units: pass --table .*AU01_r"):
        predict(bundle, voices)
    with pytest.raises(UsageError, match="needs audio: pass media"):
        predict(bundle, tables={"action_units": csv})
    with pytest.raises(UsageError, match="no table 'face'; it reads action_units"):
        predict(bundle, voices, tables={"face": csv})
    write(csv, columns=("AU01_r", "AU02_r", "AU99"))
    with pytest.raises(SourceError, match=r"1 of 3 columns are not there, such as 'AU45_c'"):
        predict(bundle, voices, tables={"action_units": csv})


def test_what_was_extracted_is_evaluated_and_fitted_without_the_table(tmp_path, csv):
    _, store = extracted(tmp_path, csv)
    csv.unlink()
    metrics = evaluate(parse_job(JOB), store, tmp_path / "report")
    assert metrics["protocols"]["loso"]["models"]["logistic"]["uar"] == 1.0
    assert metrics["job"]["features"]["action_units"]["names"] == list(COLUMNS)
    fit(parse_job(JOB), store, tmp_path / "bundle")
    other = {**JOB, "features": {"action_units": {"kind": "table", "columns": ["AU45*"]}}}
    with pytest.raises(StoreError, match="features of another job"):
        evaluate(parse_job(other), store, tmp_path / "report")


def test_a_bundle_predicts_from_a_table_as_from_the_store(tmp_path, csv):
    _, store = extracted(tmp_path, csv)
    fit(parse_job(JOB), store, tmp_path / "b")
    index = json.loads((tmp_path / "b" / "bundle.json").read_text())
    assert (index["modalities"], index["tables"]) == ([], ["action_units"])
    shuffled = tmp_path / "new.csv"
    lines = ["note," + ",".join(reversed(COLUMNS)) + ",clip", "x,0.5,-6,3,face one"]
    lines += [",".join(["y", *map(str, reversed(numbers(c))), c]) for c in reversed(CLIPS)]
    shuffled.write_text("\n".join(lines) + "\n")
    verdicts = {v.clip: v for v in predict(tmp_path / "b", tables={"action_units": shuffled})}
    assert set(verdicts) == {"face one", *CLIPS}
    names = {"03": "happy", "04": "sad", "05": "angry"}
    for clip in CLIPS:
        assert verdicts[clip].ranked[0][0] == names[clip.split("-")[1]]
    assert verdicts["face one"].ranked[0][0] == "happy"


def test_two_tables_have_dimensions_of_their_own_and_a_clip_may_lack_one(tmp_path, csv):
    other = tmp_path / "embedding.csv"
    other.write_text("clip,e0,e1\n" + "".join(f"{c},1,{i}\n" for i, c in enumerate(CLIPS[2:])))
    settings = {
        **JOB,
        "features": {**JOB["features"], "embedding": {"kind": "table", "precision": "float16"}},
        "reductions": {"action_units": {"dims": ["action_units_column"], "ranks": [2]}},
    }
    job = parse_job(settings)
    summary = extract(
        job, (), tmp_path / "s.zarr", tables={"action_units": csv, "embedding": other}
    )
    assert (summary.total, summary.done, summary.incomplete) == (18, 16, 2)
    found = open_store(tmp_path / "s.zarr")
    assert dict(found.sizes) == {"clip": 16, "action_units_column": 3, "embedding_column": 2}
    assert found.embedding.dtype == np.float16
    assert fit(job, tmp_path / "s.zarr", tmp_path / "b").reducers["action_units"].n_components_ == 2


@pytest.mark.parametrize(
    ("settings", "content", "error", "message"),
    [
        (
            JOB,
            f"clip,AU1\n{CLIPS[0]},1\nmystery,2\n",
            SourceError,
            r"'mystery' is no name of RAVDESS .* or TESS",
        ),
        (JOB, "clip,AU1\n01-03-01-01-01-77,1\n", SourceError, "01-77' is no name of RAVDESS"),
        (JOB, f"clip,AU1\n01-08-01-01-01-01,1\n{CLIPS[0]},x\n", SourceError, "line 3: column AU1"),
        (BOTH, "clip,AU1\n01-03-01-01-01-24,1\n", SourceError, "none of its 1 rows is of one of"),
        (
            {**JOB, "features": {"action_units": {"kind": "table", "precision": "float16"}}},
            f"clip,AU1\n{CLIPS[0]},1e6\n",
            SourceError,
            r"clip 01-03-01-01-01-01 reaches 1e\+06, and float16 ends",
        ),
        (
            {
                **JOB,
                "reductions": {"action_units": {"dims": ["action_units_column"], "ranks": [9]}},
            },
            f"clip,AU1\n{CLIPS[0]},1\n",
            JobError,
            "rank 9 on action_units_column, which has size 1",
        ),
    ],
)
def test_a_table_that_does_not_fit_the_job_is_refused_before_there_is_a_store(
    tmp_path, voices, settings, content, error, message
):
    csv = tmp_path / "bad.csv"
    csv.write_text(content)
    sources = voices if settings is BOTH else ()
    with pytest.raises(error, match=message) as caught:
        extracted(tmp_path, csv, settings, sources)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "s.zarr").exists()


def test_a_manifest_says_whose_clips_other_names_are(tmp_path):
    csv = tmp_path / "t.csv"
    csv.write_text("file,a\nclips/OAF_back_angry.wav,1\nYAF_dog_sad,2\n")
    manifest = tmp_path / "clips.csv"
    manifest.write_text(
        "path,clip_id,actor,emotion\na.wav,OAF_back_angry,1,angry\nb.wav,YAF_dog_sad,2,sad\n"
    )
    settings = {**JOB, "features": {"action_units": {"kind": "table", "key": "file"}}}
    summary, store = extracted(tmp_path, csv, settings, [str(manifest)])
    assert summary.done == 2
    assert open_store(store).action_units.values.tolist() == [[1.0], [2.0]]


def test_the_path_in_a_job_file_is_relative_to_it_and_stays_out_of_what_is_stored(
    tmp_path, csv, monkeypatch
):
    file = tmp_path / "job.toml"
    file.write_text(
        'name = "t"\n[features.au]\nkind = "table"\npath = "au.csv"\n'
        '[models.m]\nkind = "logistic"\n'
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    job = load_job(file)
    assert job.features["au"].settings.path == str(csv)
    assert str(tmp_path) not in json.dumps(job.settings()) + repr(job)
    assert extract(job, (), tmp_path / "s.zarr").done == 18


def test_a_table_needs_a_place_and_a_place_a_table(tmp_path, csv):
    with pytest.raises(JobError, match=r"pass --table action_units=FILE, or set features\."):
        extract(parse_job(JOB), (), tmp_path / "s")
    with pytest.raises(UsageError, match="no table 'face'; its tables are action_units"):
        extract(parse_job(JOB), (), tmp_path / "s", tables={"face": csv})
    with pytest.raises(UsageError, match="job spline has no table 'face'; it has none"):
        extract("spline", "x.zip", tmp_path / "s", tables={"face": csv})
    with pytest.raises(UsageError, match="job tabled needs audio: pass --source"):
        extract(parse_job(BOTH), (), tmp_path / "s", tables={"action_units": csv})


def test_the_settings_of_a_table_read_back_and_unknown_keys_are_refused():
    job = parse_job(JOB)
    assert digest(parse_job(job.settings()).extraction()) == digest(job.extraction())
    with pytest.raises(JobError, match=r"features\.action_units\.colums: unknown key; .*columns"):
        parse_job({**JOB, "features": {"action_units": {"kind": "table", "colums": ["a"]}}})
    with pytest.raises(JobError, match=r"reductions\.action_units\.dims: no dimension 'column'"):
        parse_job({**JOB, "reductions": {"action_units": {"dims": ["column"], "ranks": [1]}}})


def test_no_decoder_is_planned_for_tables_alone():
    job = parse_job(JOB)
    plan = plan_memory(job, largest_clip(job, ()), 4)
    assert (plan.decoder, plan.codec, plan.frames, plan.samples) == (0, 0, 0, 0)
    assert str(plan.clip) == "rows of tables alone"


def test_too_few_clips_are_said_as_with_media(tmp_path, csv):
    write(csv, CLIPS[:1])
    _, store = extracted(tmp_path, csv)
    with pytest.raises(EvaluationError):
        fit(parse_job(JOB), store, tmp_path / "b")


def test_the_command_line_from_table_to_prediction(emodask, tmp_path, csv):
    out = tmp_path / "out"
    table = f"action_units={csv}"
    code, text, err = emodask(
        "run", "action-units", "--table", table, "--out", out, "--scheduler", "sync"
    )
    assert code == 0, err
    assert "18 clips: 18 done" in text
    record = json.loads((out / "run.json").read_text())
    assert record["state"] == "finished"
    info = json.loads(emodask("info", out / "store.zarr", "--json")[1])
    assert record["job"]["extraction_digest"] == info["job_digest"]
    assert str(tmp_path) not in json.dumps(record["job"]) + (out / "bundle/bundle.json").read_text()
    code, text, _ = emodask("predict", out / "bundle", "--table", table, "--json")
    assert code == 0
    assert len(json.loads(text)) == 18
    code, text, _ = emodask(
        "evaluate",
        "action-units",
        "--store",
        out / "store.zarr",
        "--report",
        tmp_path / "r",
        "--scheduler",
        "sync",
    )
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "pass --table action_units=FILE"),
        (("--table", "action_units"), "--table takes NAME=FILE"),
        (("--table", "action_units=a", "--table", "action_units=b"), "action_units twice"),
        (("--table", "face=a.csv"), "no table 'face'"),
        (("--table", "action_units=none.csv"), "none.csv"),
    ],
)
def test_misuse_ends_before_workers_start(emodask, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr("distributed.LocalCluster", lambda *a, **k: pytest.fail("started"))
    code, _, err = emodask("run", "action-units", "--out", tmp_path / "o", *arguments)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
