"""A store in a bucket is read as the README says, where neither emodask nor Dask is installed."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest

import emodask
from emodask.job import parse_job
from emodask.sources.catalogue import Clip
from emodask.store import Row, Status, StoreAddress, prepare, write_batch
from tests.conftest import SMALL
from tests.servers.object_stores import KEY, SECRET
from tests.test_readme import ROOT, blocks

PACKAGES = ("xarray", "zarr", "s3fs")


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory):
    """A Python with nothing but xarray, zarr and s3fs, of the versions that the tests pin."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / "bin" / "python"
    pins = ("--constraint", ROOT / "tests" / "constraints.txt")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins]
    done = subprocess.run([*install, *PACKAGES], capture_output=True, text=True, timeout=400)
    if done.returncode:
        message = f"pip cannot install {', '.join(PACKAGES)}: {done.stderr[-500:]}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return python


def test_the_readme_reads_a_bucket_with_xarray_zarr_and_s3fs_alone(
    fresh_python, rclone, small_store, tmp_path
):
    (example,) = [block for block in blocks("python") if "s3://" in block]
    # A session of its own: faults that earlier tests made on purpose are not to be waited for here.
    fs = fsspec.filesystem("s3", **rclone.options, skip_instance_cache=True)
    fs.mkdir("results")
    fs.put(small_store.url, "s3://results/spline/store.zarr", recursive=True)

    absent = "import importlib.util as u; print(u.find_spec('emodask'), u.find_spec('dask'))"
    ran = [
        subprocess.run(
            [fresh_python, "-c", code],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "AWS_ACCESS_KEY_ID": KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_ENDPOINT_URL": rclone.endpoint,
                # rclone answers range reads with the checksum of the whole object
                "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
            },
        )
        for code in (absent, example)
    ]
    assert [done.returncode for done in ran] == [0, 0], ran[-1].stderr[-3000:]
    assert ran[0].stdout.split() == ["None", "None"]

    here = emodask.open(Path(small_store.url))
    angry = here.isel(clip=(here.emotion == 5).values)
    expected = angry.spline.sel(feature="noise/mfcc_0").mean("clip").values
    found = np.array(ran[1].stdout.replace("[", " ").replace("]", " ").split(), float)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_either_precision_is_read_with_xarray_and_zarr_alone(fresh_python, tmp_path, precision):
    settings = copy.deepcopy(SMALL)
    settings["features"]["spline"]["precision"] = precision
    clips = [Clip(f"01-01-01-01-0{n}-01", actor=1, emotion=1, channel=1) for n in (1, 2)]
    group = prepare(StoreAddress.of(tmp_path / "s.zarr"), parse_job(settings), clips)
    spline = np.linspace(-700, 700, 8 * 272, dtype=np.float32).reshape(8, 272)
    hog3d = np.zeros((6, 8, 2, 4, 2), np.float32)
    features = {"hog3d": hog3d, "spline": spline}
    write_batch(group, 0, [Row(Status.DONE, features), Row(Status.DONE, features)])
    code = (
        "import sys, xarray; spline = xarray.open_zarr(sys.argv[1], chunks=None).spline[1]; "
        "print(spline.dtype, spline.values.astype('float64').sum(), float(spline[3, 99]))"
    )
    done = subprocess.run(
        [fresh_python, "-c", code, tmp_path / "s.zarr"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    kept = spline.astype(precision)
    dtype, total, one = done.stdout.split()
    assert (dtype, float(one)) == (precision, float(kept[3, 99]))
    np.testing.assert_allclose(float(total), kept.astype("float64").sum(), atol=1e-6)
