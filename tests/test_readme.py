"""The README's promises: its Python runs, its job is valid, its commands exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from emodask import cli
from emodask.cluster.settings import load_settings
from emodask.job import parse_job
from emodask.job_files import shipped_jobs

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "jobs" / "README.md",
    ROOT / "deploy" / "README.md",
    ROOT / "deploy" / "page" / "README.md",
]


def blocks(language: str) -> list[str]:
    return [
        block
        for page in PAGES
        for block in re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)
    ]


def test_python_examples_run(small_store, tmp_path, monkeypatch):
    (tmp_path / "emodask-demo").mkdir()
    (tmp_path / "emodask-demo" / "store.zarr").symlink_to(small_store.url)
    monkeypatch.chdir(tmp_path)
    examples = [block for block in blocks("python") if "s3://" not in block]
    assert len(examples) >= 2
    for example in examples:
        exec(compile(example, "README", "exec"), {})


def test_job_files_and_cluster_files_are_valid(tmp_path):
    for number, example in enumerate(blocks("toml")):
        if "[cluster]" in example:
            file = tmp_path / f"{number}.toml"
            # What is commented out has to be valid too, with a scheduler that takes it.
            file.write_text(re.sub("(?m)^# ", "", example))
            assert load_settings(file).cluster.max_workers == 16
        else:
            parse_job(tomllib.loads(example))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_commands_and_options_exist(page):
    text = page.read_text()
    known = {
        info.name or info.callback.__name__: info.callback for info in cli.app.registered_commands
    }
    lines = "\n".join(blocks("bash")).splitlines()
    commands = [line for line in lines if line.startswith("emodask ")]
    for line in commands + re.findall(r"`(emodask [^`]*)`", text):
        words = shlex.split(line.split("#")[0])
        if len(words) < 2 or words[1] == "COMMAND":
            continue
        assert words[1] in known, line
        options = [word for word in words if word.startswith("--")]
        for option in options:
            name = option.removeprefix("--").replace("-", "_")
            assert name in {*known[words[1]].__annotations__, "help", "json"}, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_test_that_a_table_names_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "deploy/README.md").read_text())
    assert len(named) > 20
    for file, test in named:
        assert f"def {test or 'test_'}" in (ROOT / file).read_text(), f"{file}::{test}"


def test_every_shipped_job_stands_in_the_jobs_table():
    text = (ROOT / "jobs" / "README.md").read_text()
    for name in shipped_jobs():
        assert f"`{name}`" in text or f"{name}.toml" in text
