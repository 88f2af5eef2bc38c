"""Promises about clusters: every way in works or is refused in one line that says why."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from distributed import Client

import emodask
from emodask.cluster import connect
from emodask.cluster.plugin import installed
from emodask.cluster.settings import load_settings
from emodask.cluster.starting import kubernetes_spec
from emodask.errors import ClusterError, UsageError
from emodask.extraction import extract
from tests.cluster.processes import address, scheduler, worker
from tests.servers.processes import wait_until
from tests.test_extraction import stored


def test_a_cluster_of_processes_is_joined_by_address_and_by_file(
    corpus, small_job, small_store, tmp_path
):
    with ExitStack() as stack:
        stack.enter_context(scheduler(tmp_path))
        where = address(tmp_path)
        for name in ("a", "b"):
            stack.enter_context(worker(tmp_path, name=name))
        with connect(where) as client:
            client.wait_for_workers(2, timeout=60)
            extract(small_job, f"{corpus}/*.zip", tmp_path / "s.zarr", client)
        assert stored(tmp_path / "s.zarr") == stored(small_store.url)
        with connect(f"file:{tmp_path / 'scheduler.json'}") as client:
            summary = extract(small_job, f"{corpus}/*.zip", tmp_path / "s.zarr", client)
        assert summary.computed == 0


def test_workers_of_another_version_are_refused_by_name_now_and_later(tmp_path):
    other = tmp_path / "path"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import emodask\nemodask.__version__ = '0.0.9'\n")
    with ExitStack() as stack:
        stack.enter_context(scheduler(tmp_path))
        where = address(tmp_path)
        same = stack.enter_context(ExitStack())
        same.enter_context(worker(tmp_path, name="same"))
        with connect(where) as client:
            late = worker(
                tmp_path, "--no-nanny", name="late", environment={"PYTHONPATH": str(other)}
            )
            with late as process:
                process.wait(60)
                assert "has emodask 0.0.9" in (tmp_path / "late" / "late.log").read_text()
                assert len(client.nthreads()) == 1
    again = tmp_path / "again"
    again.mkdir()
    with ExitStack() as stack:
        stack.enter_context(scheduler(again))
        where = address(again)
        stack.enter_context(
            worker(again, "--no-nanny", name="other", environment={"PYTHONPATH": str(other)})
        )
        message = f"has emodask 0.0.9, and this command has emodask {emodask.__version__}"
        with pytest.raises(ClusterError, match=message), connect(where):
            pass
        with Client(where) as client:
            assert len(client.nthreads()) == 1, "a worker that others may use was closed"


def test_a_worker_without_emodask_is_refused_by_name(tmp_path):
    without = tmp_path / "path"
    without.mkdir()
    (without / "sitecustomize.py").write_text("import sys\nsys.modules['emodask'] = None\n")
    with ExitStack() as stack:
        stack.enter_context(scheduler(tmp_path))
        where = address(tmp_path)
        stack.enter_context(worker(tmp_path, environment={"PYTHONPATH": str(without)}))
        message = f"has no emodask, .*; install emodask {emodask.__version__} where the workers"
        with pytest.raises(ClusterError, match=message), connect(where):
            pass


def test_workers_with_another_generation_of_a_library_are_refused_by_name(tmp_path, monkeypatch):
    here = installed()
    assert set(here) == {"emodask", "Python", "numpy", "zarr"}
    monkeypatch.setattr("emodask.cluster.plugin.installed", lambda: {**here, "zarr": "99"})
    message = rf"worker tcp://\S+ has zarr {here['zarr']}, and this command has zarr 99; install"
    with pytest.raises(ClusterError, match=message), connect("local", workers=1):
        pass


def test_nothing_of_a_command_stays_on_a_cluster_that_outlives_it(corpus, small_job, tmp_path):
    def decoders() -> int:
        import psutil

        processes = psutil.Process().children()
        return sum("decoder_side" in " ".join(process.cmdline()) for process in processes)

    def interrupt() -> str:
        return str(signal.getsignal(signal.SIGINT)).partition(" at ")[0]

    def prepared(dask_scheduler):
        return [name for name in dask_scheduler.worker_plugins if "emodask" in name]

    with ExitStack() as stack:
        stack.enter_context(scheduler(tmp_path))
        where = address(tmp_path)
        stack.enter_context(worker(tmp_path))
        with Client(where) as client:
            client.wait_for_workers(1, timeout=60)
            (before,) = client.run(interrupt).values()
        with connect(where) as client:
            assert len(client.run_on_scheduler(prepared)) == 1
            extract(small_job, f"{corpus}/*Actor_01.zip", tmp_path / "s.zarr", client)
            assert list(client.run(decoders).values()) == [1]
        with Client(where) as client:
            assert client.run_on_scheduler(prepared) == []
            assert list(client.run(decoders).values()) == [0]
            assert list(client.run(interrupt).values()) == [before]


def test_a_worker_that_is_started_again_is_prepared_again():
    def prepared() -> tuple[str | None, bool]:
        handler = signal.getsignal(signal.SIGINT)
        return os.environ.get("OMP_NUM_THREADS"), handler == signal.SIG_IGN

    with connect("local", workers=1) as client:
        before = client.run(os.getpid)
        assert list(client.run(prepared).values()) == [("1", True)]
        client.run(os._exit, 1, on_error="ignore")
        deadline = time.monotonic() + 60
        while not (now := client.run(os.getpid, on_error="ignore")) or now == before:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert list(client.run(prepared).values()) == [("1", True)]


def test_a_worker_that_dies_while_it_is_started_again_comes_back(monkeypatch):
    """Dask looks once for a worker that died, and gave it up if it was just being started again."""
    from distributed.deploy import spec

    seconds = spec.parse_timedelta
    monkeypatch.setattr(spec, "parse_timedelta", lambda text: seconds(text) / 1000)
    with connect("local", workers=1) as client:
        for _ in range(2):
            client.run(os._exit, 1, on_error="ignore")
            wait_until(lambda: client.scheduler_info()["workers"] == {}, "the worker died")
            time.sleep(0.1)  # past the moment in which Dask looks for it
            client.wait_for_workers(1, timeout=60)


def test_workers_that_do_not_answer_at_the_end_are_lost_without_a_word(caplog):
    with connect("local", 2) as client:
        loop = client.loop.asyncio_loop
        for worker_of in client.run(os.getpid).values():
            os.kill(worker_of, signal.SIGSTOP)
    gc.collect()
    assert _said_by_asyncio(caplog) == []
    failed = asyncio.Future(loop=loop)
    failed.set_exception(RuntimeError("of another kind"))
    del failed
    gc.collect()
    (said,) = _said_by_asyncio(caplog)
    assert "of another kind" in said


def _said_by_asyncio(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "asyncio"]


def test_a_local_cluster_listens_on_loopback_alone_and_tells_its_dashboard():
    told: list[str] = []
    with connect("local", workers=1, tell=told.append) as client:
        addresses = [client.scheduler.address, *client.nthreads()]
        assert all("//127.0.0.1:" in found for found in addresses)
    assert [line.split("//127.0.0.1:")[0] for line in told] == ["dashboard: http:"]


def test_a_local_cluster_scales_between_its_bounds():
    with connect("local", workers=1, max_workers=2) as client:
        futures = client.map(time.sleep, [1.0] * 60, pure=False)
        client.wait_for_workers(2, timeout=60)
        client.cancel(futures)


def test_a_scheduler_without_workers_is_named_after_a_bounded_wait(tmp_path):
    config = tmp_path / "cluster.toml"
    config.write_text('[cluster]\nworker_timeout = "1s"\n')
    told: list[str] = []
    with scheduler(tmp_path):
        where = address(tmp_path)
        with (
            pytest.raises(ClusterError, match=f"{where}: the scheduler has no workers after 1s"),
            connect(where, config=config, tell=told.append),
        ):
            pass
    assert told == ["waiting for workers, 1s at most"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[cluster]\nworker = 3\n", "cluster.worker: unknown key; known keys: scheduler, workers"),
        ("[clusters]\n", "clusters: unknown key; known keys: cluster, tls, slurm, kubernetes"),
        ("[cluster]\nworkers = 0\n", "cluster.workers: .*greater than or equal to 1"),
        ('[cluster]\nmemory_limit = "12 bananas"\n', "not a size: '12 bananas'"),
        ('[cluster]\nmemory_limit = "1e400"\n', "not a size: '1e400'"),
        ('[cluster]\nworker_timeout = "10 min"\n', "not a time: '10 min'"),
        ('[cluster]\nworker_timeout = ""\n', "not a time: ''"),
        ('[cluster]\nmemory_limit = "1MB"\n', "less than 256 MiB"),
        ('[tls]\nca = "a"\n', "tls.cert: Field required"),
        ("[cluster\n", "not a cluster file that can be read"),
        ("cluster = 3\n", r"cluster: not a table; write \[cluster\]"),
        ("[cluster]\nworkers = 4\nmax_workers = 2\n", "max_workers is 2, below workers = 4"),
        ('[kubernetes]\nimage = "a"\nname = "A b"\n', "kubernetes.name: String should match"),
    ],
)
def test_a_cluster_file_is_validated(tmp_path, text, message):
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_settings(path)


def test_options_take_precedence_over_the_file_and_the_file_is_found(tmp_path, monkeypatch):
    path = tmp_path / "cluster.toml"
    path.write_text('[cluster]\nscheduler = "slurm"\nworkers = 8\nmemory_limit = "4GiB"\n')
    monkeypatch.setenv("EMODASK_CLUSTER", str(path))
    found = load_settings(workers=2).cluster
    assert (found.scheduler, found.workers, found.memory_limit) == ("slurm", 2, "4GiB")
    with pytest.raises(UsageError, match="No such file"):
        load_settings(tmp_path / "absent.toml")
    # What the file says of workers is meant for schedulers that start some.
    assert load_settings(scheduler="sync").cluster.workers is None
    assert load_settings(scheduler="local").cluster.workers == 8
    assert load_settings(max_workers=4).cluster.workers is None


@pytest.mark.parametrize(
    ("scheduler", "options", "message"),
    [
        ("somewhere", {}, "unknown scheduler 'somewhere'; use local, sync, slurm, kubernetes"),
        ("tcp://127.0.0.1:1", {}, "no Dask scheduler answers there"),
        ("tls://127.0.0.1:1", {}, r"belong into \[tls\]"),
        ("tcp://", {}, "unknown scheduler 'tcp://'; an address is such as tcp://host:8786"),
        ("http://127.0.0.1:1", {}, "with one of the protocols tcp, tls"),
        ("tcp://127.0.0.1:1", {"workers": 2}, "--workers has no meaning with --scheduler tcp:"),
        ("sync", {"memory_limit": "1GiB"}, "--memory-limit has no meaning with --scheduler sync"),
        ("file:absent.json", {}, "absent.json: no scheduler file"),
        ("kubernetes", {}, r"needs a cluster file .* \[kubernetes\]"),
    ],
)
def test_what_cannot_be_meant_is_refused(scheduler, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message), connect(scheduler, **options):
        pass


def test_certificates_that_slurm_would_not_use_are_refused(tmp_path):
    config = tmp_path / "cluster.toml"
    config.write_text('[tls]\nca = "a"\ncert = "b"\nkey = "c"\n')
    with (
        pytest.raises(UsageError, match=r"\[tls\] has no effect with --scheduler slurm"),
        connect("slurm", config=config),
    ):
        pass


@pytest.mark.parametrize("text", ["", "{}", '["a"]', "not json"])
def test_a_broken_scheduler_file_is_refused(tmp_path, text):
    path = tmp_path / "scheduler.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="not a scheduler file"), connect(f"file:{path}"):
        pass


@pytest.mark.parametrize(
    ("module", "scheduler"), [("dask_jobqueue", "slurm"), ("dask_kubernetes", "kubernetes")]
)
def test_a_missing_extra_is_named(monkeypatch, module, scheduler):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    monkeypatch.setitem(__import__("sys").modules, f"{module}.operator", None)
    with (
        pytest.raises(UsageError, match=rf"pip install 'emodask\[{scheduler}\]'"),
        connect(scheduler),
    ):
        pass


def test_the_kubernetes_resource_fits_the_operators_schema(tmp_path):
    import jsonschema

    from tests.cluster.kubernetes import operator_schema

    path = tmp_path / "cluster.toml"
    path.write_text(
        '[cluster]\nworkers = 3\nmemory_limit = "4GiB"\n'
        '[kubernetes]\nimage = "registry.example/emodask:1"\n[kubernetes.env]\nA = "b"\n'
    )
    spec = kubernetes_spec(load_settings(path))
    jsonschema.validate(spec, operator_schema("daskcluster"))
    container = spec["spec"]["worker"]["spec"]["containers"][0]
    assert spec["spec"]["worker"]["replicas"] == 3
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "4096Mi"}
    assert spec["metadata"]["name"] != kubernetes_spec(load_settings(path))["metadata"]["name"]
    assert {"name": "OMP_NUM_THREADS", "value": "1"} in container["env"]
    assert container["args"][:4] == ["dask", "worker", "--nthreads", "1"]
    spec["spec"]["worker"]["replica"] = 3
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec, operator_schema("daskcluster"))


def test_the_pods_of_the_kubernetes_resource_are_valid(tmp_path):
    import kubernetes_validate

    path = tmp_path / "cluster.toml"
    path.write_text(
        '[cluster]\nmemory_limit = "2 gib"\n[kubernetes]\nimage = "registry.example/emodask:1"\n'
    )
    parts = kubernetes_spec(load_settings(path))["spec"]
    version = kubernetes_validate.latest_version()
    for part in ("scheduler", "worker"):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": part},
            "spec": parts[part]["spec"],
        }
        kubernetes_validate.validate(pod, version, strict=True)
        pod["spec"]["containers"][0]["imagePullPolice"] = "Always"
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(pod, version, strict=True)
    service = {"apiVersion": "v1", "kind": "Service", "spec": parts["scheduler"]["service"]}
    kubernetes_validate.validate(service, version, strict=True)


def test_kubernetes_without_a_kubeconfig_is_said_in_one_line(corpus, tmp_path):
    (tmp_path / "cluster.toml").write_text('[kubernetes]\nimage = "registry.example/emodask:1"\n')
    command = [sys.executable, "-m", "emodask", "extract", "spline", "--scheduler", "kubernetes"]
    command += ["--source", f"{corpus}/*.zip", "--store", "s.zarr"]
    command += ["--cluster-config", "cluster.toml"]
    absent = {"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "absent")}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **absent},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("emodask: Kubernetes: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "s.zarr").exists()
