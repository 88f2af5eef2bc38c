"""Promises of job files: mistakes are refused, saying where and what would be right."""

from __future__ import annotations

import copy

import pytest

from emodask.errors import JobError
from emodask.job import digest, load_job, parse_job
from emodask.job_files import shipped_jobs
from tests.conftest import SMALL


def changed(**changes):
    settings = copy.deepcopy(SMALL)
    for path, value in changes.items():
        *tables, key = path.split("__")
        table = settings
        for name in tables:
            table = table[name]
        table[key] = value
    return settings


@pytest.mark.parametrize("name", sorted(shipped_jobs()))
def test_every_shipped_job_is_valid_and_named_as_its_file(name):
    job = load_job(name)
    assert job.name == name
    assert job.description


def test_settings_read_back_to_the_same_job(small_job):
    again = parse_job(small_job.settings())
    assert again.settings() == small_job.settings()
    assert digest(again.extraction()) == digest(small_job.extraction())


def test_the_digest_covers_what_the_bytes_depend_on_and_nothing_else(small_job):
    base = digest(small_job.extraction())
    for change in (
        {"seed": 8},
        {"data__batch": 6},
        {"features__hog3d__bins": 5},
        {"data__emotions": ["happy", "sad"]},
    ):
        assert digest(parse_job(changed(**change)).extraction()) != base, change
    for change in (
        {"name": "other"},
        {"models__logistic__parameters": {"C": 2.0}},
        {"evaluation__protocols": ["loso"]},
        {"reductions__spline__ranks": [3, 20]},
    ):
        assert digest(parse_job(changed(**change)).extraction()) == base, change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, r"colour: unknown key; known keys: name, description"),
        ({"data__bacth": 3}, r"data\.bacth: unknown key; known keys: emotions, channels"),
        ({"features__hog3d__heigth": 9}, r"features\.hog3d\.heigth: unknown key; .*height"),
        ({"features__hog3d__cell": [0, 6, 5]}, r"features\.hog3d\.cell"),
        ({"features__spline__rate": -1}, r"features\.spline\.rate"),
        ({"features__hog4d": {}}, r"features\.hog4d\.kind: unknown feature family 'hog4d'"),
        ({"features__status": {"kind": "spline"}}, r"features\.status: the store has something"),
        ({"features__basis": {"kind": "spline"}}, r"features\.basis: the store has something"),
        ({"features": {}}, r"needs at least one table \[features\.NAME\]"),
        ({"data__batch": 0}, r"data\.batch: .*greater than or equal to 1 \(found 0\)"),
        ({"data__emotions": ["happy"]}, r"data\.emotions"),
        ({"data__emotions": ["happy", "furious"]}, r"'furious'"),
        ({"data__emotions": ["happy", "happy"]}, r"emotions names something twice"),
        ({"data__video": "01"}, r"data\.video: .*'auto'.* \(found '01'\)"),
        ({"reductions__face": {}}, r"reductions\.face: no such feature; there are hog3d, spline"),
        ({"reductions__spline__dims": ["basis", "cell_y"]}, r"no dimension 'cell_y'; .*basis"),
        ({"reductions__spline__ranks": [4]}, r"2 dims but 1 ranks"),
        ({"reductions__spline__ranks": [4, 999]}, r"rank 999 on feature, which has size 272"),
        ({"models": {}}, r"models"),
        ({"models__logistic__kind": "oracle"}, r"models\.logistic\.kind: no classifier 'oracle'"),
        ({"models__logistic__parameters": {"c": 1}}, r"no parameter 'c'; it has C"),
        ({"models__logistic__parameters": {"C": "big"}}, r"models\.logistic\.parameters: .*'C'"),
        ({"models__svc__features": ["face"]}, r"models\.svc\.features: no feature 'face'"),
        ({"evaluation__protocols": ["best"]}, r"evaluation\.protocols: no protocol 'best'; .*loso"),
        ({"seed": -1}, r"seed"),
        ({"name": "Bad Name"}, r"name"),
    ],
)
def test_a_mistake_is_refused_saying_where_and_what_would_be_right(change, message):
    with pytest.raises(JobError, match=message):
        parse_job(changed(**change), "job.toml")


def test_a_file_that_is_absent_or_not_toml_is_refused(tmp_path):
    with pytest.raises(JobError, match=r"no such job file; emodask ships .*spline"):
        load_job("nothing.toml")
    path = tmp_path / "a.toml"
    path.write_text("name = ")
    with pytest.raises(JobError, match=r"a\.toml: not valid TOML"):
        load_job(path)
    path.write_bytes(b"\xff\xff")
    with pytest.raises(JobError, match=r"a\.toml: not valid TOML"):
        load_job(path)
