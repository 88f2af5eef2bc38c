"""Promises of the image that hold without building it: its sources, its user, its warm kernels."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch

import emodask
from emodask.job import load_job
from emodask.job_files import shipped_jobs
from tests.deploy.commands import DEPLOY, ROOT, assert_known_options, check, tool

DOCKERFILE = DEPLOY / "image" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def environment() -> dict[str, str]:
    return {
        name: value
        for instruction, rest in instructions()
        if instruction == "ENV"
        for name, value in (pair.split("=", 1) for pair in rest.split())
    }


def test_the_dockerfile_is_clean_under_hadolint():
    check(tool("hadolint"), DOCKERFILE)


def test_it_installs_extras_and_a_version_that_exist_as_a_user_without_rights():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = dict(instructions())
    assert set(found["ARG"].partition("=")[2].split(",")) <= set(project["optional-dependencies"])
    assert f'image.version="{emodask.__version__}"' in found["LABEL"]
    python = re.match(r"python:(\d+)\.(\d+)-", found["FROM"])
    assert python is not None
    assert tuple(map(int, python.groups())) >= (3, 11)
    order = [instruction for instruction, _ in instructions()]
    assert found["USER"] == "1000:1000"
    assert order.index("USER") < order.index("CMD")


def test_it_installs_what_every_job_and_kind_of_table_needs():
    from emodask.models.classifiers import CLASSIFIERS

    found = dict(instructions())
    extras = set(found["ARG"].partition("=")[2].split(","))
    jobs = [load_job(path) for path in shipped_jobs().values()]
    kinds = {model.kind for job in jobs for model in job.models.values()}
    needed = {CLASSIFIERS[kind].package for kind in kinds & CLASSIFIERS.keys()} - {""}
    assert needed
    # PyTorch is larger than all the rest: the file says how to have it.
    assert needed - {"networks"} | {"parquet"} <= extras
    assert "EXTRAS=xgboost,networks" in DOCKERFILE.read_text()


def test_workers_get_one_thread_each():
    from emodask.cluster.threads import THREAD_VARIABLES

    found = environment()
    assert all(found.get(name, "1") == "1" for name in THREAD_VARIABLES)
    assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"} <= set(found)


def test_the_build_sees_what_the_package_needs_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*", "what is not named has to stay out"
    named = [rule[1:] for rule in rules if rule.startswith("!")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {project["project"]["readme"], *project["project"]["license-files"]}
    needed |= set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    needed |= set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"])
    needed |= {"pyproject.toml", "tests/constraints.txt"}
    assert needed == set(named)
    assert all((ROOT / name).exists() for name in named)
    assert any(fnmatch("emodask/__pycache__", rule) for rule in rules)


def test_kernels_compiled_in_the_build_are_used_from_a_copy_elsewhere(tmp_path):
    warm = [rest for name, rest in instructions() if name == "RUN" and "emodask demo" in rest]
    command = warm[0].partition("&&")[0].split()
    assert_known_options(command)
    built, copied = tmp_path / "built", tmp_path / "copied"
    compute = (
        "import numpy, emodask;"
        "emodask.hog3d(numpy.zeros((10, 48, 64), numpy.uint8));"
        "emodask.spline_features(numpy.ones(30000, numpy.float32), rate=22050)"
    )

    def run(cache) -> None:
        plain = {**os.environ, **environment(), "NUMBA_CACHE_DIR": str(cache)}
        plain["MPLCONFIGDIR"] = str(tmp_path / "matplotlib")
        subprocess.run([sys.executable, "-c", compute], env=plain, cwd=tmp_path, check=True)

    run(built)
    shutil.copytree(built, copied)
    kernels = {path: path.stat().st_mtime_ns for path in copied.rglob("*.nb?")}
    assert len(kernels) > 10
    run(copied)
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*.nb?")} == kernels
