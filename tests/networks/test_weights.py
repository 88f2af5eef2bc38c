"""Promises of weights: read from anywhere once, checked before any work, never run as code."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from emodask.errors import SourceError, UnreachableError, UsageError
from emodask.networks import cache
from emodask.networks.cache import part_path
from emodask.networks.layouts import Layout
from emodask.networks.weights import load, obtain
from emodask.sources.location import Location
from tests.networks.conftest import TINY, random_part
from tests.servers.web_files import web_files


@pytest.fixture
def part() -> dict[str, np.ndarray]:
    return random_part(TINY)


def safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    from safetensors.numpy import save

    return save(tensors)


def torch_file(path: Path, value: object, legacy: bool = False) -> Path:
    import torch

    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path


def as_tensors(part: dict[str, np.ndarray]) -> dict[str, object]:
    import torch

    return {name: torch.from_numpy(values) for name, values in part.items()}


def obtained(place: object, **options: object) -> str:
    return obtain(Location(str(place)), TINY, **options)


def test_the_same_numbers_are_the_same_weights_whatever_file_they_come_in(tmp_path, part):
    import torch

    plain = tmp_path / "plain.safetensors"
    plain.write_bytes(safetensors(part))
    tensors = as_tensors(part)
    oxford = {TINY.namings["Oxford's"][name]: value for name, value in tensors.items()}
    double = {name: value.to(torch.float64) for name, value in tensors.items()}
    more = {"classifier.weight": torch.ones(5), "epoch": 3}
    files = [
        plain,
        torch_file(tmp_path / "zip.pth", {**tensors, **more}),
        torch_file(tmp_path / "legacy.pth", oxford, legacy=True),
        torch_file(tmp_path / "nested.pt", {"state_dict": double, "epoch": 7}),
        torch_file(tmp_path / "parallel.pt", {f"module.{k}": v for k, v in tensors.items()}),
    ]
    digests = {obtained(file) for file in files}
    assert len(digests) == 1
    found = load(digests.pop(), "tiny")
    assert {name: value.numpy().tolist() for name, value in found.items()} == {
        name: values.tolist() for name, values in part.items()
    }
    other = {**part, "features.0.bias": part["features.0.bias"] + 1}
    plain.write_bytes(safetensors(other))
    assert obtained(plain) not in digests


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda p: {"conv1.weight": p["features.0.weight"]},
            r"1 of its 2 tensors are not there, such as conv1\.bias.*come from nowhere",
        ),
        (
            lambda p: {"x": np.ones(3, np.float32)},
            r"found 'x' \(3,\); expected features\.0",
        ),
        (
            lambda p: {**p, "features.0.weight": p["features.0.weight"].T.copy()},
            r"features\.0\.weight has shape \(3, 2\); a tiny network needs \(2, 3\)",
        ),
        (
            lambda p: {**p, "features.0.bias": np.array([1, np.nan], np.float32)},
            r"features\.0\.bias holds numbers that are not finite",
        ),
        (
            lambda p: {**p, "features.0.bias": np.array([1, 2], np.int64)},
            r"features\.0\.bias holds int64; weights are float numbers",
        ),
    ],
)
def test_tensors_of_another_network_are_refused_with_what_was_found(tmp_path, part, change, said):
    file = tmp_path / "other.safetensors"
    file.write_bytes(safetensors(change(part)))
    with pytest.raises(SourceError, match=said) as caught:
        obtained(file)
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == 2


class _Evil:
    """Runs code when it is unpickled in the ordinary way."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def test_a_pickle_that_holds_code_is_refused_and_never_run(tmp_path, part):
    mark = tmp_path / "ran"
    plain = tmp_path / "evil.pkl"
    plain.write_bytes(pickle.dumps({"features.0.weight": _Evil(mark)}))
    files = [
        torch_file(tmp_path / "evil.pth", {**as_tensors(part), "hook": _Evil(mark)}),
        torch_file(tmp_path / "evil2.pth", {"hook": _Evil(mark)}, legacy=True),
        plain,
    ]
    for file in files:
        with pytest.raises(SourceError, match=r"could run code|cannot be read as torch") as caught:
            obtained(file)
        assert str(caught.value).isprintable()
    assert not mark.exists()


def test_a_module_in_place_of_a_state_dict_is_named_without_advice_to_load_it(tmp_path):
    import torch

    said = r"Unsupported global: GLOBAL torch\.nn\.modules\.linear\.Linear .*: save the state dict"
    with pytest.raises(SourceError, match=said) as caught:
        obtained(torch_file(tmp_path / "module.pth", torch.nn.Linear(2, 2)))
    assert "can still be loaded" not in str(caught.value)


def test_files_that_are_none_of_weights_are_named_for_what_they_are(tmp_path, part):
    whole = safetensors(part)
    packed = torch_file(tmp_path / "whole.pth", as_tensors(part)).read_bytes()
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("archive/data.pkl", bytes(50_000_000))
    huge = struct.pack("<Q", 1 << 40) + b"{" + bytes(100)
    lying = json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()
    for data, said in [
        (b"", "an empty file"),
        (b"\n<!DOCTYPE html><title>Log in", "a web page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5.*convert_fer"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x93NUMPY" + bytes(60), "no file of weights; expected safetensors"),
        (huge, "no file of weights, or a damaged one: the header .* 1099511627776 bytes"),
        (whole[:9] + b"\xff" + whole[10:], "damaged: its header is no list of tensors"),
        (struct.pack("<Q", 9) + b'{"a": {}}', "damaged: its header is no list of tensors"),
        (whole[:-3], "truncated: 1.. bytes, and its header declares"),
        (whole + b"more", "damaged"),
        (whole[:40], "truncated"),
        (struct.pack("<Q", len(lying)) + lying, "truncated"),
        (packed[:-30], "truncated|cannot be read"),
        (bomb.read_bytes(), "packed to a fraction of what it declares"),
    ]:
        file = tmp_path / "file"
        file.write_bytes(data)
        with pytest.raises(SourceError, match=said):
            obtained(file)
    with pytest.raises(SourceError, match="no such file of weights"):
        obtained(tmp_path / "absent.pth")
    with pytest.raises(SourceError, match="is a folder"):
        obtained(tmp_path)


def test_an_old_pytorch_file_that_ends_early_is_said_to_be_truncated(tmp_path, part):
    whole = torch_file(tmp_path / "whole.pth", as_tensors(part), legacy=True).read_bytes()
    for length in (1, 3, 100, len(whole) // 2, len(whole) - 1):
        file = tmp_path / "cut.pth"
        file.write_bytes(whole[:length])
        said = rf"cut\.pth: truncated or damaged: {length} bytes, .*fetch it again.*SHA-256"
        with pytest.raises(SourceError, match=said) as caught:
            obtained(file)
        assert "corrupted" not in str(caught.value)
    packed = torch_file(tmp_path / "packed.pth", as_tensors(part)).read_bytes()
    file.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceError, match=r"truncated: \d+ bytes, .*fetch it again"):
        obtained(file)


def test_what_code_a_file_names_is_said_without_advice_to_run_it(tmp_path, part):
    file = torch_file(tmp_path / "evil.pth", {**as_tensors(part), "hook": _Evil(tmp_path / "ran")})
    with pytest.raises(SourceError, match=r"more than tensors \(.*posix\.system") as caught:
        obtained(file)
    assert "documentation" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_what_lies_on_the_web_is_fetched_once_and_again_when_it_changes(part):
    files = {"w.safetensors": safetensors(part)}
    with web_files(files) as site:
        first = obtained(site.plain("w.safetensors"))
        sent = site.sent
        assert obtained(site.plain("w.safetensors")) == first
        assert site.sent - sent < 10  # one byte, to ask for its version
        part["features.0.bias"] += 1
        site.replace("w.safetensors", safetensors(part))
        assert obtained(site.plain("w.safetensors")) != first
        # A server that tells no versions apart is asked for all of it.
        site.dated = site.tagged = False
        sent = site.sent
        obtained(site.plain("w.safetensors"))
        assert site.sent - sent > 100
    assert sorted(path.suffix for path in cache.folder().iterdir()).count(".safetensors") == 2


def test_a_server_without_ranges_serves_too(part):
    with web_files({"w.safetensors": safetensors(part)}, ranges=False) as site:
        digest = obtained(site.plain("w.safetensors"))
    assert part_path(digest)


def test_with_a_checksum_no_server_is_needed_the_second_time(tmp_path, part):
    import hashlib

    data = safetensors(part)
    checksum = f"sha256:{hashlib.sha256(data).hexdigest()}"
    with web_files({"w.safetensors": data}) as site:
        place = site.plain("w.safetensors")
        digest = obtained(place, checksum=checksum)
        with pytest.raises(SourceError, match=r"the file's SHA-256 is .*; the job's checksum is 0"):
            obtained(place, checksum=f"sha256:{64 * '0'}")
    assert obtained(place, checksum=checksum) == digest
    file = tmp_path / "w.safetensors"
    file.write_bytes(data)
    assert obtained(file, checksum=checksum) == digest
    file.write_bytes(safetensors(random_part(TINY, 1)))
    with pytest.raises(SourceError, match="another file, or a damaged one"):
        obtained(file, checksum=checksum)


def test_one_file_serves_networks_of_one_name_that_use_less_of_it(part):
    import hashlib

    name = "features.0.bias"
    smaller = Layout(TINY.name, {name: TINY.shapes[name]}, {}, TINY.sources)
    data = safetensors(part)
    sums = [None, f"sha256:{hashlib.sha256(data).hexdigest()}"]
    with web_files({"w.safetensors": data}) as site:
        place = Location(site.plain("w.safetensors"))
        for checksum in sums:
            assert len(load(obtain(place, TINY, checksum), "whole")) == 2
            assert list(load(obtain(place, smaller, checksum), "less")) == [name]


def test_a_bad_answer_leaves_nothing_behind_and_tells_no_secret(part):
    page = b"<html><body>Please log in</body></html>"
    whole = safetensors(part)
    with web_files({"page.pth": page, "cut.safetensors": whole[:-1]}) as site:
        for name, said in [("page.pth", "web page"), ("cut.safetensors", "truncated")]:
            place = site.plain(name).replace("http://", "http://me:hush@") + "?token=hush"
            with pytest.raises(SourceError, match=said) as caught:
                obtained(place)
            assert "hush" not in str(caught.value)
        with pytest.raises(SourceError):
            obtained(site.plain("absent.pth"))
    assert list(cache.folder().glob("*")) == []
    with pytest.raises(UnreachableError):
        obtained(site.plain("page.pth"))


def test_what_a_killed_fetch_left_is_removed_by_a_later_one(part):
    folder = cache.folder()
    folder.mkdir(parents=True)
    left, current = folder / "fetching-left", folder / "fetching-current"
    for path in (left, current):
        path.write_bytes(b"half of it")
    os.utime(left, (0, 0))
    with web_files({"w.safetensors": safetensors(part)}) as site:
        obtained(site.plain("w.safetensors"))
    assert list(folder.glob("fetching-*")) == [current]


def test_larger_files_than_the_limit_are_refused_before_they_are_fetched(part, monkeypatch):
    monkeypatch.setattr("emodask.networks.weights.MAX_BYTES", 64)
    with web_files({"w.safetensors": safetensors(part)}) as site:
        with pytest.raises(SourceError, match="at most 64 are taken"):
            obtained(site.plain("w.safetensors"))
        assert site.sent < 10


def test_damaged_weights_in_the_cache_are_found_out_and_removed(tmp_path, part):
    file = tmp_path / "w.safetensors"
    file.write_bytes(safetensors(part))
    digest = obtained(file)
    kept = part_path(digest)
    data = bytearray(kept.read_bytes())
    data[-1] ^= 1
    kept.write_bytes(data)
    with pytest.raises(SourceError, match="damaged weights of tiny"):
        load(digest, "tiny")
    assert part_path(digest) is None
    assert obtained(file) == digest
    load(digest, "tiny")


def test_a_cache_that_cannot_be_written_is_named(tmp_path, part, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    source = tmp_path / "w.safetensors"
    source.write_bytes(safetensors(part))
    with pytest.raises(UsageError, match=r"weights cannot be kept here.*XDG_CACHE_HOME"):
        obtained(source)
