"""Promises of refusals: what a job names and its clips lack is said before anything is computed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from emodask import cli
from emodask.emotions import CODES
from emodask.errors import JobError, ProtocolError
from emodask.evaluation.clips import require_meant
from emodask.evaluation.evaluate import evaluate
from emodask.evaluation.identities import Identities
from emodask.fitting import fit
from emodask.job import parse_job
from tests.conftest import SMALL

FOUR = ["happy", "sad", "angry", "surprised"]


def job_naming(emotions=None, protocols=None):
    data = {"emotions": emotions} if emotions else {}
    evaluation = {"protocols": protocols} if protocols else {}
    return parse_job({**SMALL, "data": data, "evaluation": evaluation})


def clips(*acted):
    """Actors, and what each acts twice."""
    rows = [(actor, CODES[name]) for actor, names in acted for name in names.split() * 2]
    actor, emotion = np.array(rows).T
    return Identities.of(actor=actor, emotion=emotion)


THREE = clips((1, "happy sad angry"), (2, "happy sad angry"))
ONE_SURPRISED = clips((1, "happy sad angry surprised"), (2, "happy sad angry"), (3, "happy sad"))


def test_an_emotion_that_the_job_names_and_no_clip_shows_is_refused_by_name():
    with pytest.raises(JobError) as refused:
        require_meant(job_naming(FOUR), THREE)
    words = str(refused.value)
    assert "job small: data.emotions names surprised, which none of the 12 clip(s) shows" in words
    assert "there are happy, sad, angry." in words
    assert "Take out of data.emotions" in words


def test_emotions_that_a_job_has_by_default_need_not_be_there():
    require_meant(job_naming(protocols=["loso"]), THREE)
    require_meant(job_naming(protocols=["loso"]), ONE_SURPRISED)


def test_an_emotion_that_is_tested_and_never_trained_is_refused_where_the_job_names_both():
    with pytest.raises(ProtocolError) as refused:
        require_meant(job_naming(FOUR, ["loso"]), ONE_SURPRISED)
    words = str(refused.value)
    assert "protocol 'loso' never trains surprised where it is tested" in words
    assert "its 2 clip(s) are of actors 1." in words
    require_meant(job_naming(FOUR), ONE_SURPRISED)  # protocols by default: a note says it


def test_an_emotion_that_some_folds_train_goes_on_with_a_note():
    require_meant(job_naming(["happy", "sad", "angry"], ["loso"]), ONE_SURPRISED)


def test_a_random_split_that_misses_an_emotion_by_chance_goes_on():
    single = Identities.of(actor=[1, 1, 1, 1], emotion=[3, 4, 5, 8])
    require_meant(job_naming(FOUR, ["within-actor"]), single)


@pytest.mark.parametrize("command", [evaluate, fit])
def test_a_store_without_a_named_emotion_is_refused(command, small_job, small_store, tmp_path):
    codes = small_job.data.emotion_codes
    job = parse_job({**SMALL, "data": {"emotions": list(CODES), "batch": 5}})
    assert job.data.emotion_codes == codes
    import emodask.evaluation.clips as module

    stored = module.stored_identities(small_store)
    assert set(stored.emotion.tolist()) == set(codes)
    with pytest.MonkeyPatch.context() as patch:
        some = Identities.of(actor=stored.actor, emotion=np.minimum(stored.emotion, 7))
        for place in ("emodask.evaluation.evaluate", "emodask.fitting"):
            patch.setattr(f"{place}.stored_identities", lambda address: some)
        with pytest.raises(JobError, match=r"data\.emotions names surprised"):
            command(job, small_store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


MANIFEST = "path,clip_id,actor,emotion\n" + "".join(
    f"{actor}-{emotion}.wav,{actor}-{emotion},{actor},{emotion}\n"
    for actor in (1, 2)
    for emotion in ("happy", "sad")
)
JOB = """
name = "tiny"
[data]
emotions = {emotions}
[features.spline]
[models.svc]
kind = "{kind}"
{more}
[evaluation]
protocols = ["{protocol}"]
"""


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"emotions": '["happy", "sad", "surprised"]'}, "data.emotions names surprised"),
        ({"protocol": "cross-corpus"}, "needs clips of at least 2 corpora"),
        ({"protocol": "lose"}, "did you mean 'loso'?"),
        ({"kind": "svm"}, "no classifier 'svm'; there are mlp, svc"),
        ({"kind": "random-forrest"}, "did you mean 'random-forest'?"),
        ({"more": "parameters = { gama = 1 }"}, "did you mean 'gamma'?"),
        ({"more": "search = { parameters = { gama = [1, 2] } }"}, "did you mean 'gamma'?"),
        ({"more": "search = { parameter = { gamma = [1] } }"}, "did you mean 'parameters'?"),
        ({"more": "search = { grid = { Gamma = [1, 2] } }"}, "did you mean 'gamma'?"),
        ({"more": 'features = ["splines"]'}, "did you mean 'spline'?"),
        (
            {"more": '[models.both]\nkind = "fusion"\nmembers = ["svc", "svcs"]'},
            "did you mean 'svc'?",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_before_media_is_read(
    tmp_path, monkeypatch, capsys, changed, words
):
    fits = {"emotions": '["happy", "sad"]', "kind": "svc", "more": "", "protocol": "loso"}
    (tmp_path / "job.toml").write_text(JOB.format(**{**fits, **changed}))
    (tmp_path / "clips.csv").write_text(MANIFEST)  # of media that need not be there
    arguments = ["run", f"{tmp_path}/job.toml", "--source", f"{tmp_path}/clips.csv"]
    arguments += ["--out", f"{tmp_path}/out", "--scheduler", "sync"]
    monkeypatch.setattr(sys, "argv", ["emodask", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert not (tmp_path / "out" / "store.zarr").exists()
