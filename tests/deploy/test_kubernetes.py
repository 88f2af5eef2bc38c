"""Promises of the Kubernetes manifests: valid, hardened, and their commands run a job."""

from __future__ import annotations

import copy
import json
from contextlib import ExitStack
from typing import Any
from urllib.request import urlopen

import jsonschema
import kubernetes_validate
import pytest
import yaml

import emodask
from emodask.cluster.settings import load_settings
from emodask.cluster.starting import kubernetes_spec
from tests.conftest import SMALL
from tests.deploy.commands import DEPLOY, Loopback, assert_known_options
from tests.deploy.schemas import operator_schemas
from tests.servers.object_stores import KEY, SECRET
from tests.test_extraction import as_toml

FOLDER = DEPLOY / "kubernetes"
VERSION = "1.31"
"""Of Kubernetes: the oldest that the README asks for."""


def manifest(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def expanded() -> list[dict[str, Any]]:
    """The objects that the operator's own code makes of the cluster."""
    from dask_kubernetes.operator.controller import controller
    from dask_kubernetes.operator.validation import validate_cluster_name

    cluster = manifest("cluster")
    name, spec = cluster["metadata"]["name"], copy.deepcopy(cluster["spec"])
    validate_cluster_name(name)
    return [
        controller.build_scheduler_deployment_spec(name, spec["scheduler"]["spec"], {}, {}),
        controller.build_scheduler_service_spec(name, spec["scheduler"]["service"], {}, {}),
        controller.build_worker_deployment_spec(
            f"{name}-default",
            cluster["metadata"]["namespace"],
            name,
            "0123456789",
            spec["worker"]["spec"],
            {},
            {},
        ),
    ]


def pod_specs() -> dict[str, dict[str, Any]]:
    scheduler, _, worker = expanded()
    return {
        "scheduler": scheduler["spec"]["template"]["spec"],
        "worker": worker["spec"]["template"]["spec"],
        "job": manifest("job")["spec"]["template"]["spec"],
    }


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize("name", ["namespace", "job"])
def test_plain_manifests_are_valid(name):
    kubernetes_validate.validate(manifest(name), VERSION, strict=True)


def test_what_the_operator_makes_of_the_cluster_is_valid():
    for made in expanded():
        kubernetes_validate.validate(made, VERSION, strict=True)


@pytest.mark.parametrize("name", ["cluster", "autoscaler"])
def test_operator_manifests_follow_its_schemas(name):
    found = manifest(name)
    jsonschema.validate(found, operator_schemas()[found["kind"]])


def test_what_emodask_asks_the_operator_for_follows_its_schema():
    settings = load_settings(FOLDER / "cluster.toml")
    assert settings.kubernetes is not None
    assert settings.kubernetes.image == f"emodask:{emodask.__version__}"
    spec = kubernetes_spec(settings)
    jsonschema.validate(spec, operator_schemas()["DaskCluster"])


def test_a_planted_typo_is_caught_at_every_level():
    schemas = operator_schemas()
    for path in (
        ("spec",),
        ("spec", "scheduler"),
        ("spec", "scheduler", "service"),
        ("spec", "worker", "spec", "containers", 0),
        ("spec", "worker", "spec", "containers", 0, "securityContext"),
    ):
        broken = manifest("cluster")
        place = broken
        for part in path:
            place = place[part]
        place["replicsa"] = 3
        with pytest.raises(jsonschema.ValidationError, match="replicsa"):
            jsonschema.validate(broken, schemas["DaskCluster"])
    broken = manifest("job")
    broken["spec"]["template"]["spec"]["containers"][0]["imagePullpolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError, match="imagePullpolicy"):
        kubernetes_validate.validate(broken, VERSION, strict=True)


@pytest.mark.parametrize("name", ["scheduler", "worker", "job"])
def test_pods_are_hardened_and_bounded(name):
    pod = pod_specs()[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in containers(pod):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["image"] == f"emodask:{emodask.__version__}"
        assert "memory" in container["resources"]["limits"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        # The root is read-only: what is written has to be below a mount.
        for variable in container.get("env", []):
            if "CACHE" in variable["name"] or "CONFIG" in variable["name"]:
                assert variable["value"].startswith("/tmp/")
        assert_known_options(container.get("args") or container["command"])


def test_names_addresses_and_namespaces_agree():
    cluster, job, autoscaler = manifest("cluster"), manifest("job"), manifest("autoscaler")
    _, service, worker = expanded()
    address = f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert f"--scheduler=tcp://{address}" in pod_specs()["job"]["containers"][0]["args"]
    assert autoscaler["spec"]["cluster"] == cluster["metadata"]["name"]
    namespace = manifest("namespace")["metadata"]["name"]
    assert {m["metadata"]["namespace"] for m in (cluster, job, autoscaler)} == {namespace}
    labels = expanded()[0]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    secrets = {
        reference["secretRef"]["name"]
        for pod in (worker["spec"]["template"]["spec"], pod_specs()["job"])
        for container in pod["containers"]
        for reference in container["envFrom"]
    }
    readme = (FOLDER / "README.md").read_text()
    assert all(f"create secret generic {secret} " in readme for secret in secrets)


def secret() -> dict[str, str]:
    lines = (FOLDER / "storage.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_example_of_a_secret_holds_none():
    found = secret()
    assert found["FSSPEC_S3_KEY"] == found["FSSPEC_S3_SECRET"] == ""


def test_all_their_commands_run_a_job(corpus, rclone, tmp_path):
    prefix = f"{rclone.url}/kubernetes"
    rclone.upload(corpus, "kubernetes/ravdess")
    job = tmp_path / "small.toml"
    job.write_text(as_toml(SMALL))
    pods, [_, service, _] = pod_specs(), expanded()
    name, namespace = service["metadata"]["name"], manifest("cluster")["metadata"]["namespace"]
    network = Loopback(
        tmp_path,
        names=[f"{name}.{namespace}.svc.cluster.local", name],
        paths={"/tmp": tmp_path},
    )
    # rclone needs one more variable than the example has; other stores do not.
    storage = {
        **secret(),
        "FSSPEC_S3_KEY": KEY,
        "FSSPEC_S3_SECRET": SECRET,
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }

    def command(pod: str, replace: dict[str, str]) -> tuple[list[str], dict[str, str]]:
        container = pods[pod]["containers"][0]
        variables = dict(storage) if "envFrom" in container else {}
        variables |= {v["name"]: v["value"] for v in container.get("env", [])}
        words = container["args"]
        for old, new in {**{f"$({k})": v for k, v in variables.items()}, **replace}.items():
            words = [word.replace(old, new) for word in words]
        translated = {k: network.translate(v) for k, v in variables.items()}
        if "FSSPEC_S3_ENDPOINT_URL" in translated:
            # The store's own port: not one that stands for a port of the pods.
            translated["FSSPEC_S3_ENDPOINT_URL"] = rclone.endpoint
            network.ports[rclone.endpoint.rpartition(":")[2]] = int(rclone.endpoint.split(":")[2])
        return words, translated

    def health(pod: str) -> bool:
        container = pods[pod]["containers"][0]
        probe = container["readinessProbe"]["httpGet"]
        [port] = [p["containerPort"] for p in container["ports"] if p["name"] == probe["port"]]
        try:
            with urlopen(f"http://127.0.0.1:{network.port(str(port))}{probe['path']}") as answer:
                return answer.status == 200
        except OSError:
            return False

    with ExitStack() as stack:
        for pod in ("scheduler", "worker"):
            process = stack.enter_context(network.start(pod, *command(pod, {})))
            network.wait(process, lambda pod=pod: health(pod), f"the {pod} is ready")
        words, variables = command("job", {"hog3d-spline": str(job), "s3://BUCKET": prefix})
        code, output = network.run(words, variables)
    assert code == 0, output
    fs = rclone.filesystem()
    record = json.loads(fs.cat_file(f"{prefix}/result/run.json"))
    assert record["clips"]["done"] == 24, record
    assert fs.exists(f"{prefix}/result/report/index.html")
    for text in (output, *(log.read_text() for log in tmp_path.glob("*.log"))):
        assert SECRET not in text
