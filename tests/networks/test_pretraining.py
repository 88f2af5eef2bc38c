"""Promises of pretraining: bounded reading, the same numbers again, stops that cost an epoch."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emodask.errors import SourceError, UsageError
from emodask.networks import expression
from emodask.networks.device import cores, one_thread
from emodask.networks.labelled import read_labelled
from emodask.networks.pretraining import Pretraining, pretrain
from emodask.networks.weights import obtain
from emodask.sources.location import Location

QUICK = Pretraining(epochs=2, batch=8, patience=2)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    one_thread()


def face(label: int, seed: int, side: int = 48) -> np.ndarray:
    """Noise with a bright band at a height of its class's own."""
    picture = np.random.default_rng(seed).integers(0, 100, (side, side))
    start = side * (1 + 2 * label) // 6
    picture[start : start + side // 8] += 120
    return picture.astype(np.uint8)


def csv_of(
    path: Path, count: int = 30, usage: bool = True, change: dict[int, str] | None = None
) -> Path:
    lines = ["emotion,pixels" + ",Usage" * usage]
    for row in range(count):
        part = "Training" if row < 18 else "PublicTest" if row < 24 else "PrivateTest"
        pixels = " ".join(map(str, face(row % 3, row).ravel()))
        lines.append(f"{row % 3},{pixels}" + f",{part}" * usage)
    for row, line in (change or {}).items():
        lines[row] = line
    path.write_text("\n".join(lines) + "\n")
    return path


def folder_of(path: Path, count: int = 12, split: bool = False) -> Path:
    for part in ("train", "test") if split else ("",):
        for label, name in enumerate(("angry", "happy")):
            place = path / part / name
            place.mkdir(parents=True)
            for number in range(count):
                picture = Image.fromarray(face(label, number, side=60))
                picture.save(place / f"{number}.{'png' if number % 2 else 'jpg'}")
    return path


def test_fer2013s_csv_is_read_as_it_is_split(tmp_path):
    found = read_labelled(csv_of(tmp_path / "fer2013.csv"), 48)
    assert found.pictures.shape == (30, 48, 48)
    assert found.classes == ("angry", "disgust", "fear")
    assert [len(found.parts[part]) for part in ("train", "valid", "test")] == [18, 6, 6]
    for row in (0, 7, 29):
        assert (found.pictures[row] == face(row % 3, row)).all()
        assert found.labels[row] == row % 3


def test_a_folder_without_parts_is_split_by_its_seed_and_keeps_its_classes(tmp_path):
    source = folder_of(tmp_path / "faces", count=20)
    (source / "angry" / "notes.txt").write_text("no picture")
    one, same, other = (read_labelled(source, 48, seed) for seed in (1, 1, 2))
    assert one.classes == ("angry", "happy")
    assert one.counts("train") == {"angry": 16, "happy": 16}
    assert one.counts("valid") == one.counts("test") == {"angry": 2, "happy": 2}
    rows = np.concatenate(list(one.parts.values()))
    assert sorted(rows.tolist()) == list(range(40))
    assert all((one.parts[part] == same.parts[part]).all() for part in one.parts)
    assert any((one.parts[part] != other.parts[part]).any() for part in ("valid", "test"))


def test_a_folder_of_training_and_test_pictures_keeps_the_test_pictures_apart(tmp_path):
    found = read_labelled(folder_of(tmp_path / "faces", split=True), 48)
    assert found.counts("test") == {"angry": 12, "happy": 12}
    assert found.counts("valid") == {"angry": 2, "happy": 2}


def test_what_systems_leave_in_a_folder_is_no_class_and_no_picture(tmp_path):
    folder = folder_of(tmp_path / "faces", split=True)
    plain = read_labelled(folder, 48)
    for name in ("__MACOSX/train/angry", ".thumbnails"):
        (folder / name).mkdir(parents=True)
    for name in ("__MACOSX/train/angry/._0.png", "train/angry/._0.png"):
        (folder / name).write_bytes(b"a resource fork")
    found = read_labelled(folder, 48)
    assert found.classes == plain.classes == ("angry", "happy")
    assert found.left_out == ()
    np.testing.assert_array_equal(found.pictures, plain.pictures)


def test_parts_of_a_set_are_not_taken_for_classes_because_of_what_lies_beside_them(tmp_path):
    folder = folder_of(tmp_path / "faces", split=True)
    (folder / "landmarks").mkdir()
    with pytest.raises(SourceError, match="beside test and train lies landmarks"):
        read_labelled(folder, 48)


def test_numbers_of_folders_are_not_taken_for_those_of_fer2013(tmp_path):
    folder = folder_of(tmp_path / "faces")
    (folder / "angry").rename(folder / "0")
    (folder / "happy").rename(folder / "3")
    assert read_labelled(folder, 48).classes == ("0", "3")


def test_pictures_of_16_bits_keep_their_levels(tmp_path):
    folder = folder_of(tmp_path / "faces")
    plain = read_labelled(folder, 48)
    for file in folder.rglob("*.png"):
        levels = np.asarray(Image.open(file), np.uint16)
        Image.fromarray(levels * 257).save(file)
    np.testing.assert_array_equal(read_labelled(folder, 48).pictures, plain.pictures)
    Image.fromarray(np.zeros((48, 48), np.float32)).save(folder / "angry" / "float.tiff")
    assert "floating-point levels" in read_labelled(folder, 48).left_out[0]


def test_a_damaged_picture_is_left_out_and_named_and_many_are_refused(tmp_path):
    source = folder_of(tmp_path / "faces", count=12)
    (source / "angry" / "0.jpg").write_bytes(b"no picture")
    found = read_labelled(source, 48)
    assert len(found.labels) == 23
    assert found.left_out[0].startswith("angry/0.jpg: ")
    assert str(tmp_path) not in found.left_out[0]
    for number in (2, 4, 6):
        (source / "angry" / f"{number}.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match=r"4 of 24 pictures cannot be read, first angry/0\.jpg"):
        read_labelled(source, 48)


def test_a_picture_that_would_take_all_memory_is_not_decoded(tmp_path):
    source = folder_of(tmp_path / "faces")
    Image.new("1", (9000, 9000)).save(source / "angry" / "1.png")
    assert "9000x9000 pixels" in read_labelled(source, 48).left_out[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({0: "name,age"}, "its first line has name, age; expected a folder"),
        ({3: "1,2 3 4,Training"}, "line 4: 3 pixels, which are no square"),
        ({3: f"1,{' 300' * 64},Training"}, "line 4: gray levels from 300 to 300"),
        ({3: "1,1 x,Training"}, "line 4: its pixels are not all numbers"),
        ({3: "1"}, "line 4: 1 columns; the file is damaged or truncated"),
        ({3: f"1,{' 0' * 64},Sometimes"}, "line 4: Usage is 'Sometimes'"),
        ({3: f",{' 0' * 64},Training"}, "line 4: no emotion"),
    ],
)
def test_a_csv_of_something_else_is_refused_by_its_line(tmp_path, change, said):
    with pytest.raises(SourceError, match=said):
        read_labelled(csv_of(tmp_path / "a.csv", change=change), 48)


def test_reading_leaves_the_limit_of_other_tables_as_it_was(tmp_path):
    before = csv.field_size_limit()
    read_labelled(csv_of(tmp_path / "a.csv"), 48)
    with pytest.raises(SourceError):
        read_labelled(csv_of(tmp_path / "b.csv", change={0: "name,age"}), 48)
    assert csv.field_size_limit() == before


def test_too_few_pictures_or_classes_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="has no subfolders; expected"):
        read_labelled(tmp_path / "empty", 48)
    folder_of(tmp_path / "one", count=5)
    (tmp_path / "one" / "happy").rename(tmp_path / "happy")
    with pytest.raises(SourceError, match=r"1 class of pictures \(angry\); 2 or more"):
        read_labelled(tmp_path / "one", 48)
    folder_of(tmp_path / "few", count=2)
    with pytest.raises(SourceError, match="4 pictures are too few: none is left for validation"):
        read_labelled(tmp_path / "few", 48)
    (tmp_path / "bytes.csv").write_bytes(bytes(range(256)))
    with pytest.raises(SourceError, match="no CSV of labelled pictures"):
        read_labelled(tmp_path / "bytes.csv", 48)
    with pytest.raises(SourceError, match="download them first"):
        read_labelled("https://host/fer2013.csv", 48)


def test_the_base_that_was_trained_is_what_features_take(tmp_path):
    out = tmp_path / "base.safetensors"
    source = csv_of(tmp_path / "fer2013.csv")
    told = []
    about = pretrain(source, out, QUICK, on_epoch=lambda epoch, better: told.append(epoch.epoch))
    assert told == [1, 2]
    written = json.loads(out.with_suffix(".json").read_text())
    assert written == json.loads(json.dumps(about))
    assert written["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert written["classes"] == ["angry", "disgust", "fear"]
    assert 0 <= written["held_out"]["accuracy"] <= 1
    assert obtain(Location(str(out)), expression.LAYOUT, f"sha256:{written['sha256']}")
    assert not out.with_suffix(".training").exists()
    with pytest.raises(UsageError, match="is there already"):
        pretrain(source, out, QUICK)
    again = tmp_path / "again.safetensors"
    pretrain(source, again, QUICK)
    assert again.read_bytes() == out.read_bytes()


class _Killed(Exception):
    pass


def test_a_training_that_was_stopped_goes_on_to_the_same_bytes(tmp_path):
    source = csv_of(tmp_path / "fer2013.csv")
    whole, stopped = tmp_path / "whole.safetensors", tmp_path / "stopped.safetensors"
    pretrain(source, whole, QUICK)

    def kill(epoch, better):
        raise _Killed

    with pytest.raises(_Killed):
        pretrain(source, stopped, QUICK, on_epoch=kill)
    assert not stopped.exists()
    other = Pretraining(epochs=2, batch=8, patience=2, seed=5)
    with pytest.raises(SourceError, match="of other pictures or settings; remove it"):
        pretrain(source, stopped, other)
    told = []
    pretrain(source, stopped, QUICK, on_epoch=lambda epoch, better: told.append(epoch.epoch))
    assert told == [2]
    assert stopped.read_bytes() == whole.read_bytes()
    state = tmp_path / "damaged.training"
    state.write_bytes(b"{")
    with pytest.raises(SourceError, match=r"damaged \(SafetensorError\); remove it"):
        pretrain(source, tmp_path / "damaged.safetensors", QUICK)


def test_a_kill_between_the_two_files_leaves_nothing_in_the_way(tmp_path, monkeypatch):
    from emodask.networks import pretraining

    source, out = csv_of(tmp_path / "fer2013.csv"), tmp_path / "base.safetensors"
    write = pretraining.save_file_whole

    def killed_before_json(path, data):
        if path.suffix == ".json":
            raise _Killed
        write(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(pretraining, "save_file_whole", killed_before_json)
        with pytest.raises(_Killed):
            pretrain(source, out, QUICK)
    assert out.exists()
    told = []
    about = pretrain(source, out, QUICK, on_epoch=lambda epoch, better: told.append(epoch))
    assert told == []
    assert about["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()


@pytest.mark.parametrize(("wanted", "used"), [(3, 3), (None, cores())])
def test_it_computes_in_the_cores_there_are_and_restores_what_was_set(tmp_path, wanted, used):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        about = pretrain(
            csv_of(tmp_path / "f.csv"), tmp_path / "w.safetensors", QUICK, threads=wanted
        )
        assert about["threads"] == used
        assert torch.get_num_threads() == 5
    finally:
        torch.set_num_threads(before)


def test_training_ends_when_validation_gets_no_better_and_keeps_the_best(tmp_path, monkeypatch):
    from emodask.networks import pretraining

    losses = iter([0.5, 0.7, 0.9, 0.1])
    judged = pretraining._judged

    def told(module, labelled, rows, device):
        found = judged(module, labelled, rows, device)
        return found if rows is None else pretraining._Judged(next(losses), 0.5, 0.5)

    monkeypatch.setattr(pretraining, "_judged", told)
    source = csv_of(tmp_path / "fer2013.csv")
    about = pretrain(source, tmp_path / "a.safetensors", Pretraining(epochs=9, patience=2))
    assert len(about["history"]) == 3
    assert about["best_epoch"] == 1


def test_training_that_diverges_says_in_which_epoch_and_what_may_do(tmp_path):
    fast = Pretraining(epochs=3, batch=8, learning_rate=1e30)
    with pytest.raises(SourceError, match=r"in epoch 1 .*Pretraining\(learning_rate = 1e\+29\)"):
        pretrain(csv_of(tmp_path / "fer2013.csv"), tmp_path / "out.safetensors", fast)


def test_the_command_tells_of_epochs_and_refuses_in_a_line(tmp_path):
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "emodask", "pretrain", *map(str, arguments)]
        alone = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, capture_output=True, text=True, timeout=110, env=alone)

    source = csv_of(tmp_path / "fer2013.csv")
    found = run(source, "--out", tmp_path / "a.safetensors", "--epochs", 1, "--device", "cpu")
    assert found.returncode == 0, found.stderr
    assert "30 pictures of angry, disgust, fear: 18 to train on" in found.stdout
    assert "epoch 1: loss" in found.stdout
    assert "of 6 held-out pictures" in found.stdout
    found = run(tmp_path / "absent.csv", "--out", tmp_path / "b.safetensors")
    assert (found.returncode, found.stdout) == (2, "")
    assert "no such folder or CSV of labelled pictures" in found.stderr
    found = run(source, "--out", tmp_path / "b.pth")
    assert found.returncode == 2
    assert "NAME.safetensors" in found.stderr
