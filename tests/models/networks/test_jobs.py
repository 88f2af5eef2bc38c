"""Promises of networks in jobs: they go with all that fits models; what cannot be is refused."""

from __future__ import annotations

import numpy as np
import pytest
from distributed import Client

from emodask import networks, pipeline
from emodask.cluster import connect, works_here
from emodask.errors import EvaluationError, JobError, SourceError
from emodask.evaluation.evaluate import evaluate
from emodask.fitting import fit
from emodask.job import parse_job
from emodask.models.checking import check_installed
from emodask.models.fitted_on_variants import FittedOnVariants
from emodask.models.learning import fit_model
from emodask.models.system import features_used, with_models
from emodask.models.trials import searches_of
from emodask.pipeline import run
from tests.conftest import SMALL as SMALL_JOB
from tests.models.networks.conftest import HEAD, TINY, job_of

VOICE = {**HEAD, "features": ["spline"]}


def with_parameters(**parameters):
    """The network of the voice with some parameters more."""
    return {**VOICE, "parameters": {**VOICE["parameters"], **parameters}}


def test_a_network_reads_its_features_side_by_side_in_their_reduced_shapes(clips):
    fitted = fit_model(job_of(both=HEAD), "both", *clips)
    assert fitted.estimator.shapes_ == ((2, 3, 1, 1, 1), (2, 4))
    assert fitted.features == ("hog3d", "spline")
    assert fitted.training["parameters"] == 15 * 8 + 9 * 4
    assert (fitted.predict(clips[0]) == clips[1]).mean() > 0.5


def test_a_network_holds_out_actors_and_scales_by_itself(clips, monkeypatch):
    from emodask.models.networks import training

    asked = []
    real = training.held_apart

    def spy(labels, groups, share, seed):
        asked.append(groups)
        return real(labels, groups, share, seed)

    monkeypatch.setattr(training, "held_apart", spy)
    job = job_of(
        plain={**HEAD, "scale": True},
        sure={**HEAD, "calibrate": True},
        chosen={**HEAD, "search": {"parameters": {"batch_size": [8, 16]}}},
    )
    fitted = {name: fit_model(job, name, *clips) for name in job.models}
    assert fitted["plain"].estimator.scale
    assert fitted["sure"].temperature is not None
    assert fitted["chosen"].chosen["batch_size"] in (8, 16)
    assert len(asked) == 1 + 6 + 11
    assert all(groups is not None and len(set(groups.tolist())) > 1 for groups in asked)


def test_variants_of_a_clip_stay_with_their_actor(clips):
    _, labels, actors = clips

    class Spy:
        def get_params(self, deep=False):
            return {}

        def fit(self, X, y, groups):
            self.seen, self.classes_ = (X, y, groups), np.unique(y)
            return self

    rows = np.arange(96 * 6).reshape(96, 6)
    fitted = FittedOnVariants(Spy(), 3).fit(rows, labels, actors)
    X, y, groups = fitted.estimator_.seen
    assert X.shape == (288, 2)
    assert np.array_equal(groups, np.repeat(actors, 3))
    assert np.array_equal(y, np.repeat(labels, 3))


def fusion_of_embeddings(**top):
    voice, face = ({**HEAD, "features": [name]} for name in ("spline", "hog3d"))
    return job_of(
        late={"kind": "embedding-fusion", "embeddings": ["voice", "face"], **top},
        voice=voice,
        face=face,
    )


@pytest.mark.parametrize("kind", ["embedding-fusion", "svc", "lda", "gaussian-nb"])
def test_what_networks_learnt_is_read_by_other_models(kind, clips):
    parameters = {"epochs": 30, **TINY} if kind == "embedding-fusion" else {}
    job = fusion_of_embeddings(kind=kind, parameters={**parameters}, scale=kind == "svc")
    fitted = {}
    late = fit_model(job, "late", *clips, fitted)
    assert set(fitted) == {"late", "voice", "face"}
    assert late.features == ("hog3d", "spline")
    X = late.join(clips[0])
    assert np.array_equal(X[:, :8], fitted["voice"].embed(clips[0]))
    assert np.array_equal(X[:, 8:], fitted["face"].estimator.embed(clips[0]["hog3d"]))
    assert (late.predict(clips[0]) == clips[1]).mean() > 0.5


def test_features_are_read_beside_what_networks_learnt(clips):
    job = job_of(
        early={"kind": "svc", "features": ["spline"], "embeddings": ["face"], "scale": True},
        face={**HEAD, "features": ["hog3d"]},
    )
    fitted = {}
    early = fit_model(job, "early", *clips, fitted)
    assert early.features == ("hog3d", "spline")
    X = early.join(clips[0])
    assert np.array_equal(X[:, :8], clips[0]["spline"])
    assert np.array_equal(X[:, 8:], fitted["face"].embed(clips[0]))
    assert (early.predict(clips[0]) == clips[1]).mean() > 0.5


def test_embeddings_are_learnt_on_the_same_training_part_inside_fusions_too(clips, monkeypatch):
    from emodask.models.networks.kinds import DenseHead

    people = []
    real = DenseHead.fit

    def spy(self, X, y, groups=None):
        if self.hidden == (8,):
            people.append(len(set(groups.tolist())))
        return real(self, X, y, groups)

    monkeypatch.setattr(DenseHead, "fit", spy)
    job = job_of(
        joined={"kind": "fusion", "members": ["late", "voice"], "rule": "weighted"},
        late={"kind": "lda", "embeddings": ["voice"]},
        voice={**HEAD, "features": ["spline"]},
    )
    fit_model(job, "joined", *clips)
    assert people == [6, 4, 5, 5, 5, 5]  # once for all rows, once for each of five inner folds


def test_a_network_is_stopped_by_the_people_who_stop_those_that_it_reads(clips, monkeypatch):
    from emodask.models.networks import training

    held_out = []
    real = training.held_apart

    def spy(*given):
        held_out.append(real(*given)[1])
        return real(*given)

    job = job_of(upper={**HEAD, "embeddings": ["voice"]}, voice={**VOICE, "scale": True})
    monkeypatch.setattr(training, "held_apart", spy)
    fit_model(job, "upper", *clips)
    voice, upper = held_out
    assert len(set(clips[2][voice].tolist())) == 1
    assert np.array_equal(upper, voice)


def test_networks_of_embeddings_that_hold_out_nobody_else_are_taken():
    same = {**HEAD, "parameters": {**HEAD["parameters"], "random_state": 7}}  # the job's seed
    nobody = {**HEAD, "parameters": {**HEAD["parameters"], "validation": 0}}
    for reader in (same, nobody):
        assert job_of(a={**reader, "embeddings": ["b"]}, b=VOICE).models["a"].embeddings == ("b",)
    job_of(a={"kind": "svc", "embeddings": ["b"]}, b=with_parameters(validation=0))


def test_models_that_read_others_keep_them_and_their_searches(clips):
    job = job_of(
        late={"kind": "lda", "embeddings": ["voice"]},
        voice={**HEAD, "features": ["spline"], "search": {"grid": {"batch_size": [8, 16]}}},
        face={"kind": "lda", "features": ["hog3d"]},
    )
    assert list(with_models(job, ["late"]).models) == ["late", "voice"]
    assert features_used(job, ["late"]) == ("spline",)
    assert searches_of(job, ["late"], clips[2]) == [("voice", ())]


def test_a_job_of_networks_says_what_to_install_before_any_work(monkeypatch, clips):
    monkeypatch.setattr(networks, "installed", lambda: False)
    job = fusion_of_embeddings()
    with pytest.raises(JobError, match=r"models\.voice: PyTorch is not installed: pip"):
        check_installed(job, ["late"])
    job = job_of(late={"kind": "lda", "embeddings": ["voice"]}, voice=HEAD)
    with pytest.raises(JobError, match=r"models\.voice: PyTorch is not installed"):
        check_installed(job, ["late"])


def test_a_device_that_is_not_there_is_named(clips):
    job = job_of(head=ELSEWHERE)
    message = r"model head: no device 'cuda:99' here; PyTorch sees cpu.* \"auto\" takes a GPU"
    with pytest.raises(JobError, match=message):
        fit_model(job, "head", *clips)
    searched = {**HEAD, "parameters": {"epochs": 2}, "search": {"grid": {"device": ["cuda:99"]}}}
    with pytest.raises(JobError, match="model head: no device 'cuda:99' here"):
        fit_model(job_of(head=searched), "head", *clips)


ELSEWHERE = {**HEAD, "parameters": {**HEAD["parameters"], "device": "cuda:99"}}
REFUSED = r"^job small: models\.voice\.parameters\.device: no device 'cuda:99' here; .*\"auto\""


@pytest.mark.parametrize(
    "models",
    [
        {"voice": ELSEWHERE},
        {"plain": {"kind": "svc"}, "voice": ELSEWHERE},
        {"late": {"kind": "lda", "embeddings": ["voice"]}, "voice": ELSEWHERE},
        {"voice": {**HEAD, "parameters": {}, "search": {"grid": {"device": ["cpu", "cuda:99"]}}}},
    ],
)
def test_a_device_that_this_machine_lacks_is_refused_before_any_work(models, small_store, tmp_path):
    job = job_of(**models)
    nowhere = str(tmp_path / "nowhere.zip")
    with pytest.raises(JobError, match=REFUSED):
        run(job, nowhere, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(JobError, match=REFUSED):
        evaluate(job, small_store, tmp_path / "report")
    with pytest.raises(JobError, match=REFUSED):
        fit(job, small_store, tmp_path / "bundle", model=list(models)[-1])


def test_devices_of_other_machines_are_not_judged_here(tmp_path, monkeypatch):
    nowhere = str(tmp_path / "nowhere.zip")
    monkeypatch.setattr(pipeline, "works_here", lambda client: False)
    with pytest.raises(SourceError, match="nowhere"):
        run(job_of(plain={"kind": "svc"}, voice=ELSEWHERE), nowhere, tmp_path / "out")
    with pytest.raises(JobError, match=REFUSED):  # the bundle's model is fitted here
        run(job_of(voice=ELSEWHERE, plain={"kind": "svc"}), nowhere, tmp_path / "out")


def test_workers_that_were_started_here_are_on_this_machine():
    assert works_here(None)
    with connect("local", workers=1) as client:
        assert works_here(client)
        with Client(client.scheduler.address, set_as_default=False) as joined:
            assert not works_here(joined)


def test_training_that_fails_names_the_model(clips, monkeypatch):
    from emodask.models.networks.kinds import DenseHead

    monkeypatch.setattr(DenseHead, "augmented", lambda self, batch, generator: batch / 0)
    with pytest.raises(EvaluationError, match="model head: training diverged"):
        fit_model(job_of(head=HEAD), "head", *clips)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            {"a": {**HEAD, "parameters": {"epochs": 0}}},
            r"a\.parameters: The 'epochs' parameter of DenseHead must be an int in the range \[1",
        ),
        ({"a": {**HEAD, "parameters": {"epoch": 3}}}, r"no parameter 'epoch'; it has .*epochs, "),
        ({"a": {**HEAD, "parameters": {"hidden": []}}}, r"'hidden' parameter .* \[512, 256\]"),
        ({"a": {**HEAD, "parameters": {"hidden": [0]}}}, r"'hidden' parameter .* Got \[0\]"),
        ({"a": {**HEAD, "parameters": {"dropout": 1.0}}}, r"'dropout' parameter"),
        ({"a": {**HEAD, "parameters": {"device": "gpu"}}}, r"'device' parameter .* Got 'gpu'"),
        ({"a": {**HEAD, "parameters": {"shapes": [[3]]}}}, r"parameters: no shapes here; they fol"),
        ({"a": {**HEAD, "parameters": {"scale": True}}}, r"no scale here; set scale = true of the"),
        (
            {"a": {**HEAD, "search": {"grid": {"scale": [True, False]}}}},
            r"a\.search: no scale here; set scale = true of the model itself",
        ),
        (
            {"a": {"kind": "frame-layer", "embeddings": ["b"]}, "b": VOICE},
            r"a\.embeddings: frame-layer: it reads one feature of frames.*, not numbers side by s",
        ),
        (
            {"a": {"kind": "mfcc-image-cnn", "embeddings": ["b"]}, "b": VOICE},
            r"a\.embeddings: mfcc-image-cnn: it reads one feature of two .*, not numbers side by s",
        ),
        (
            {"a": {"kind": "mfcc-image-cnn"}},
            r"a\.features: mfcc-image-cnn: it reads one feature of two dimensions, .* not "
            r"2 x 3 x 1 x 1 x 1 and 2 x 4 \(hog3d, spline\)",
        ),
        (
            {"a": {"kind": "mfcc-image-cnn", "features": ["spline"]}},
            r"of at least 7 x 7, not 2 x 4 \(spline\)",
        ),
        (
            {"a": {"kind": "curve-cnn", "features": ["hog3d"]}},
            r"curve-cnn: it reads at least 16 numbers a clip, not 2 x 3 x 1 x 1 x 1 \(hog3d\)",
        ),
        (
            {"a": {"kind": "conv-head", "features": ["spline"]}},
            r"reads one feature of \(frame, channel, y, x\), not 2 x 4",
        ),
        ({"a": {"kind": "frame-layer"}}, r"frame-layer: it reads one feature of frames"),
        (
            {"a": {"kind": "lda", "embeddings": ["b"]}},
            r"a\.embeddings: no model 'b'; there is no network$",
        ),
        (
            {"a": {"kind": "lda", "embeddings": ["b"]}, "b": {"kind": "svc"}},
            r"a\.embeddings: b is of kind 'svc' and has no hidden layer to read; networks have: mf",
        ),
        (
            {"a": {"kind": "lda", "embeddings": ["b", "b"]}, "b": VOICE},
            r"a\.embeddings: names a model twice",
        ),
        ({"a": {**HEAD, "embeddings": ["a"]}}, r"a\.embeddings: it would read itself: a of a$"),
        (
            {"a": {**HEAD, "embeddings": ["b"]}, "b": {**HEAD, "embeddings": ["a"]}},
            r"a\.embeddings: it would read itself: a of b of a$",
        ),
        (
            {"a": {"kind": "lda", "embeddings": ["b"], "calibrate": True}, "b": VOICE},
            r"a\.calibrate: a model of embeddings has none; the networks have met every row",
        ),
        (
            {
                "a": {"kind": "svc", "embeddings": ["b"], "search": {"grid": {"C": [1, 2]}}},
                "b": VOICE,
            },
            r"a\.search: a model of embeddings has none",
        ),
        (
            {"a": {**HEAD, "embeddings": ["b"]}, "b": with_parameters(validation=0.3)},
            r"models\.a\.parameters: validation is 0\.15, but 0\.3 of b, whose embeddings it "
            r"reads: a would be stopped by people on whom b was trained\. .* or a validation = 0$",
        ),
        (
            {"a": {**HEAD, "embeddings": ["b"]}, "b": with_parameters(validation=0)},
            r"validation is 0\.15, but 0 of b",
        ),
        (
            {"a": {**HEAD, "embeddings": ["b"]}, "b": with_parameters(random_state=8)},
            r"random_state is 7, but 8 of b, .* Give both the same random_state",
        ),
        (
            {
                "a": {**HEAD, "embeddings": ["b"]},
                "b": {**VOICE, "search": {"grid": {"validation": [0.15, 0.2]}}},
            },
            r"validation is 0\.15, but 0\.15 or 0\.2 of b",
        ),
        (
            {
                "a": {"kind": "fusion", "members": ["b", "c"], "embeddings": ["b"]},
                "b": VOICE,
                "c": VOICE,
            },
            r"a\.embeddings: a fusion has none",
        ),
    ],
)
def test_networks_that_cannot_be_meant_are_refused(models, message):
    with pytest.raises(JobError, match=message):
        job_of(**models)


def test_reports_say_how_training_went_and_controls_are_trained_too(small_store, tmp_path):
    models = {
        "late": {"kind": "lda", "embeddings": ["cnn"]},
        "cnn": {
            "kind": "sequence-cnn",
            "features": ["spline"],
            "scale": True,
            "parameters": {**TINY, "epochs": 2},
        },
    }
    evaluation = {"protocols": ["actors-20-4"], "speaker_adapted": True, "permuted": True}
    job = parse_job({**SMALL_JOB, "models": models, "evaluation": evaluation})
    metrics = evaluate(job, small_store, tmp_path, pictures=False, sounds=False)
    (entry,) = metrics["protocols"].values()
    told = {name: model.get("training") for name, model in entry["models"].items()}
    assert not told["late"]
    for name in ("cnn", "cnn+adapted", "cnn+permuted"):
        assert told[name]["parameters"] == 768 + 82048 + (128 * 10 + 1) * 8
        (fold,) = told[name]["folds"]
        assert fold["epochs"] == len(fold["history"]) == 2
        assert 1 <= fold["best_epoch"] <= 2
        assert {"epoch", "train_loss", "valid_loss", "valid_uar"} == set(fold["history"][0])
    again = evaluate(job, small_store, tmp_path / "again", pictures=False, sounds=False)
    assert again["protocols"] == metrics["protocols"]
