"""Promises of the page's image and Compose file: closed by default, and what they run serves."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import emodask
from emodask.errors import EmodaskError
from emodask.isolation import CLIP_MEMORY
from emodask.page.client import Client
from tests.deploy.commands import DEPLOY, ROOT, Loopback, assert_known_options, check, tool
from tests.deploy.compose_files import Unset, composed, example
from tests.page.conftest import page_bundles, recorded  # noqa: F401  fixtures
from tests.servers.processes import program

HERE = DEPLOY / "page"
PASSWORD = "planted-password-of-the-page"
FILLED = {**example(HERE), "EMODASK_PASSWORD": PASSWORD, "EMODASK_BUNDLE": "/some/bundle"}
_GIB = 1 << 30


def instructions() -> list[tuple[str, str]]:
    text = (HERE / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def listed(name: str) -> list[str]:
    """An instruction's words, as its JSON says them."""
    (words,) = (json.loads(rest) for instruction, rest in instructions() if instruction == name)
    return words


def services(variables: dict[str, str] = FILLED) -> dict:
    return composed(HERE / "compose.yaml", variables)["services"]


def size(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([mg])", text).groups()  # type: ignore[union-attr]
    return int(number) << {"m": 20, "g": 30}[unit]


def test_dockerfile_and_compose_files_are_clean():
    check(tool("hadolint"), HERE / "Dockerfile")
    for name in ("compose.yaml", "tls.yaml"):
        check(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", HERE / name)


def test_the_image_installs_what_exists_and_runs_without_rights():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = dict(instructions())
    wanted = set(found["ARG"].partition("=")[2].split(","))
    assert {"page"} <= wanted <= set(extras["optional-dependencies"])
    assert f'image.version="{emodask.__version__}"' in found["LABEL"]
    assert found["USER"] == "1000:1000"
    stages = [rest.split(" AS ") for name, rest in instructions() if name == "FROM"]
    assert stages[1:] == [["base", "demo"], ["base", "page"]], "the last one is built by default"
    for name, rest in instructions():
        if name == "RUN" and rest.startswith("emodask"):
            assert_known_options(rest.partition("&&")[0].split())
    assert_known_options(listed("CMD"))


def test_the_entrypoint_takes_kernels_along_and_runs_the_command_itself(tmp_path):
    for folder in ("numba", "matplotlib"):
        (tmp_path / "built" / folder).mkdir(parents=True)
    (tmp_path / "built" / "numba" / "kernel.nbi").write_text("compiled")
    said = 'echo "$$ $NUMBA_CACHE_DIR $(cat $NUMBA_CACHE_DIR/kernel.nbi)" "$@"'
    words = [
        word.replace("/var/cache/emodask", f"{tmp_path}/built").replace(
            "/tmp/cache", f"{tmp_path}/cache"
        )
        for word in [*listed("ENTRYPOINT"), "sh", "-c", said, "sh", "a b"]
    ]
    for _ in range(2):  # a container that is started again finds what it copied
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            out, _ = process.communicate(timeout=30)
        assert out == f"{process.pid} {tmp_path}/cache/numba compiled a b\n"


def test_nothing_starts_without_a_password_or_a_bundle_and_the_example_holds_none():
    for name in ("EMODASK_PASSWORD", "EMODASK_BUNDLE"):
        assert example(HERE)[name] == ""
        with pytest.raises(Unset, match=rf"{name} in \.env"):
            services({**FILLED, name: ""})
    used = set(re.findall(r"\$\{(EMODASK\w+)", (HERE / "compose.yaml").read_text()))
    assert used - {"EMODASK_RUNS"} == set(example(HERE))
    with pytest.raises(Unset, match="EMODASK_PAGE_NAME"):
        composed(HERE / "tls.yaml", {})


def test_the_page_has_no_way_out_and_its_door_is_on_loopback():
    found = composed(HERE / "compose.yaml", FILLED)
    page, door = found["services"]["page"], found["services"]["door"]
    assert page["networks"] == ["inside"]
    assert found["networks"]["inside"]["internal"] is True
    assert "ports" not in page
    assert all(port.startswith("127.0.0.1:") for port in door["ports"])
    for name, service in found["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert PASSWORD not in " ".join(service["command"]), f"{name} shows the password to ps"
    assert page["user"] == "1000:1000"
    assert all(volume.endswith(":ro") for volume in page["volumes"])
    assert page["image"] == f"emodask-page:{emodask.__version__}"
    assert re.fullmatch(r"caddy:\d+\.\d+\.\d+-alpine", door["image"])
    assert_known_options(page["command"])


def test_its_memory_holds_the_server_its_judges_and_the_uploads():
    page = services()["page"]
    (folder,) = page["tmpfs"]
    uploads = size(re.search(r"size=(\w+)", folder)[1])  # type: ignore[index]
    libraries = int(0.8 * _GIB)  # of the server, and of each judge
    one_judge = libraries + CLIP_MEMORY
    assert size(page["mem_limit"]) >= libraries + uploads + one_judge
    assert size(page["mem_limit"]) < libraries + uploads + 2 * one_judge
    text = (HERE / "compose.yaml").read_text()
    assert f"{one_judge / _GIB:.1f} GiB more" in text


def test_what_it_runs_judges_behind_its_door(page_bundles, recorded, tmp_path):  # noqa: F811
    program("caddy")
    found = services()
    page, door = found["page"], found["door"]
    bundle = tmp_path / "bundle"
    shutil.copytree(page_bundles["voice"], bundle)
    network = Loopback(tmp_path, names=["page"], paths={"/bundle": bundle})
    (tmp_path / "tmp").mkdir()
    inside = {**page["environment"], "TMPDIR": str(tmp_path / "tmp")}
    site = "http://127.0.0.1:7861"
    outside = network.translate(site)
    config = tmp_path / "Caddyfile"
    config.write_text(network.translate((HERE / "Caddyfile").read_text()))
    network.paths = {**network.paths, "/etc/caddy/Caddyfile": config}
    health = page["healthcheck"]["test"]
    assert health[0] == "CMD"

    # Docker's client configuration sets them in every container.
    proxied = dict.fromkeys(("HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9") | inside

    def healthy(password: str = PASSWORD) -> bool:
        return network.run(health[1:], {**proxied, "EMODASK_PASSWORD": password})[0] == 0

    def status(**headers: str) -> int:
        try:
            asked = urllib.request.Request(f"{outside}/api/health", headers=headers)
            return urllib.request.urlopen(asked, timeout=30).status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    with network.start("page", page["command"], inside) as served:
        network.wait(served, healthy, "the page is healthy")
        assert not healthy("another")
        home = {"XDG_DATA_HOME": str(tmp_path), "EMODASK_PAGE_SITE": site}
        with network.start("door", door["command"], home) as proxy:
            network.wait(proxy, lambda: _answers(outside), "the door is open")
            client = Client(outside, PASSWORD)
            assert client.predict(recorded / "voice.wav").problem is None
            with pytest.raises(EmodaskError, match="asks for a password"):
                Client(outside, "another").health()
            assert status() == 401
            known = Client(outside, PASSWORD)._headers
            assert status(**known, Origin="https://evil.example") == 403
            assert status(**known, Origin=outside) == 200
        os.kill(served.pid, 15)
        assert served.wait(60) == 0
    assert list((tmp_path / "tmp").iterdir()) == []
    for log in tmp_path.glob("*.log"):
        assert PASSWORD not in log.read_text()


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5)
    except urllib.error.HTTPError as error:
        with error:
            return error.code == 401
    except OSError:
        return False
    return True


def test_the_lines_of_its_readme_for_a_proxy_are_read(tmp_path: Path):
    text = (HERE / "README.md").read_text()
    (lines,) = re.findall(r"```caddyfile\n(.*?)```", text, re.DOTALL)
    config = tmp_path / "Caddyfile"
    config.write_text(lines)
    check(program("caddy"), "adapt", "--config", config, "--adapter", "caddyfile")
