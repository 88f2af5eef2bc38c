"""Promises of speech embeddings: the network's own numbers, any usual file, no code, no network."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emodask
from emodask import networks
from emodask.errors import FeatureError, JobError, SourceError, UnreachableError, UsageError
from emodask.extraction import extract
from emodask.features import family
from emodask.features.network import frozen
from emodask.features.speech_embedding import Settings, speech_embedding
from emodask.isolation.worker_side import Decoder
from emodask.job import parse_job
from emodask.job_weights import read_weights
from emodask.networks import speech
from emodask.networks.weights import obtain
from emodask.pictures.clip_pictures import clip_pictures
from emodask.pictures.reading import MediaReader
from emodask.pictures.stored import StoredFeatures
from emodask.sources.location import Location
from emodask.store import StoreAddress
from tests.media_files import tone, wav
from tests.servers.web_files import web_files

RATE = 16_000
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8, 8, 8],
    "conv_stride": [5, 4, 4],
    "conv_kernel": [10, 8, 4],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 5,
}
LARGE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
"""How the large ones of each kind differ beside their sizes."""


@pytest.fixture(scope="module")
def transformers() -> Any:
    """The package; skips where it or PyTorch is absent, fails in CI."""
    absent = "" if networks.installed() else networks.ABSENT
    try:
        import transformers

        transformers.utils.logging.disable_progress_bar()
    except ModuleNotFoundError:
        absent = absent or speech.ABSENT
    if absent:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(absent)
    return transformers


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def made(transformers: Any, folder: Path, kind: str, normalise: bool = True, **config: Any) -> Any:
    """A small network with random weights, saved by transformers into a folder."""
    import torch

    torch.manual_seed(3)
    name, _, task = kind.partition("/")
    settings = getattr(transformers, f"{name}Config")(**TINY | config)
    network = getattr(transformers, f"{name}{task or 'Model'}")(settings).eval()
    network.save_pretrained(folder)
    about = {"sampling_rate": RATE, "do_normalize": normalise}
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    return network


@pytest.fixture
def folder(transformers, tmp_path) -> Path:
    made(transformers, tmp_path / "wavlm", "WavLM")
    return tmp_path / "wavlm"


def settled(folder: Path, **given: Any) -> Settings:
    """Settings as a job has them that has read its weights."""
    settings = Settings(**given)
    place = Location(str(folder))
    settings = settings.model_copy(update=dict(settings.completed(place)))
    return settings.model_copy(
        update={"content": obtain(settings.file(place), settings.layout, settings.checksum)}
    )


def job_of(folder: Path | None, **given: Any) -> Any:
    weights = {} if folder is None else {"weights": str(folder)}
    return parse_job(
        {
            "name": "j",
            "features": {"speech_embedding": {**weights, **given}},
            "models": {"ridge": {"kind": "ridge"}},
        }
    )


VOICE = tone(0.5, rate=RATE) + np.float32(0.01)


@pytest.mark.parametrize("config", [{}, LARGE], ids=["base", "large"])
@pytest.mark.parametrize("kind", ["Wav2Vec2", "Hubert", "WavLM"])
def test_the_numbers_are_those_of_the_networks_own_layers(
    transformers, tmp_path, kind, config
) -> None:
    import torch

    network = made(transformers, tmp_path / "w", kind, normalise=bool(config), **config)
    sound = VOICE.copy()
    if config:
        sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    with torch.inference_mode():
        said = network(torch.from_numpy(sound)[None], output_hidden_states=True)
    layers = torch.stack([*said.hidden_states[:-1], said.last_hidden_state])[:, 0]
    expected = torch.stack([layers.mean(1), layers.std(1, correction=0)], dim=1).numpy()
    settings = settled(tmp_path / "w", pool="mean+deviation")
    np.testing.assert_allclose(speech_embedding(VOICE, settings), expected, rtol=1e-5, atol=1e-6)
    last_first = settled(tmp_path / "w", layers=[-1, 0])
    np.testing.assert_allclose(
        speech_embedding(VOICE, last_first), expected[[2, 0], :1], rtol=1e-5, atol=1e-6
    )


def test_the_same_sound_gives_the_same_bytes(folder) -> None:
    settings = settled(folder)
    first, second = (speech_embedding(VOICE.copy(), settings) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.shape == tuple(family("speech_embedding").dims(settings).values()) == (3, 1, 16)


def older(names: dict[str, Any]) -> dict[str, Any]:
    """Names of weight normalisation before PyTorch 2."""
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        names = {k.replace(f"parametrizations.weight.{new}", old): v for k, v in names.items()}
    return names


def torchaudio(names: dict[str, Any]) -> dict[str, Any]:
    """Where ``torchaudio.models.wav2vec2.utils.import_huggingface_model`` puts the tensors."""
    parts = {
        "encoder.": "encoder.transformer.",
        "feature_projection.": "encoder.feature_projection.",
    }
    found = {}
    for name, value in names.items():
        old = next((part for part in parts if name.startswith(part)), "")
        found[parts.get(old, "") + name.removeprefix(old)] = value
    return found


@pytest.mark.parametrize("change", [older, torchaudio], ids=["older", "torchaudio"])
def test_files_of_other_makers_hold_the_same_network(transformers, tmp_path, change) -> None:
    import torch

    network = made(transformers, tmp_path / "w", "Hubert")
    content = settled(tmp_path / "w").content
    (tmp_path / "w" / "model.safetensors").unlink()
    torch.save(change(network.state_dict()), tmp_path / "w" / "pytorch_model.bin")
    assert settled(tmp_path / "w").content == content


def test_a_network_that_was_trained_for_a_task_is_read_without_the_task(
    transformers, tmp_path
) -> None:
    network = made(transformers, tmp_path / "task", "Wav2Vec2/ForCTC")
    network.wav2vec2.save_pretrained(tmp_path / "bare")
    about = (tmp_path / "task" / "preprocessor_config.json").read_text()
    (tmp_path / "bare" / "preprocessor_config.json").write_text(about)
    assert settled(tmp_path / "task") == settled(tmp_path / "bare")


class Evil:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_no_code_of_a_folder_is_run(folder, tmp_path) -> None:
    import torch

    mark = tmp_path / "ran"
    (folder / "modeling_evil.py").write_text(f"open({str(mark)!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling_evil.Evil", "AutoConfig": "modeling_evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config))
    speech_embedding(VOICE, settled(folder))
    (folder / "model.safetensors").unlink()
    torch.save({"a": Evil(mark)}, folder / "pytorch_model.bin")
    with pytest.raises(SourceError, match="holds more than tensors"):
        settled(folder)
    assert not mark.exists()


def test_nothing_is_asked_of_any_server(folder, monkeypatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("asked a server")

    monkeypatch.setattr(socket.socket, "connect", refused)
    assert np.isfinite(speech_embedding(VOICE, settled(folder))).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "llama"}, "model_type: Input should be 'wav2vec2', 'hubert' or 'wavlm'"),
        ({"num_attention_heads": 3}, "hidden_size is no multiple of num_attention_heads"),
        ({"conv_dim": [8]}, "conv_dim, conv_stride and conv_kernel are of different lengths"),
        ({"hidden_size": 10**12}, "hidden_size: Input should be less than or equal to 65536"),
        ({"hidden_size": 32}, "these are no weights|has shape"),
    ],
)
def test_a_folder_of_another_network_is_refused_with_what_was_found(
    folder, change, message
) -> None:
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match=message):
        settled(folder)


def test_absent_weights_are_named_with_where_to_get_them(folder, tmp_path) -> None:
    with pytest.raises(JobError, match=r"--weights speech_embedding=.*microsoft/wavlm-base-plus"):
        read_weights(job_of(None))
    with pytest.raises(SourceError, match=r"no such folder of weights.*a licence of its own"):
        settled(tmp_path / "nowhere")
    (folder / "model.safetensors").rename(folder / "model.safetensors.index.json")
    with pytest.raises(SourceError, match="in parts; save it as one file"):
        settled(folder)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(SourceError, match="which says whether sound is normalised"):
        settled(folder)
    (folder / "config.json").unlink()
    with pytest.raises(SourceError, match=r"there is no config\.json in it"):
        settled(folder)


def test_a_folder_on_the_web_is_the_same_as_one_here(folder) -> None:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with web_files(files) as site:
        place = site.plain("config.json").replace("config.json", "?token=hush")
        assert settled(place).content == settled(folder).content


def test_a_server_of_folders_that_does_not_answer_is_named_without_its_secrets(monkeypatch) -> None:
    monkeypatch.setattr("emodask.sources.retry.FIRST_WAIT", 0.001)
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        place = f"http://me:hush@127.0.0.1:{taken.getsockname()[1]}/wavlm"
        with pytest.raises(
            UnreachableError, match=r"/wavlm/config\.json: cannot be read"
        ) as caught:
            settled(place)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rate": 22050}, "has learnt from 16000 samples a second: use that"),
        ({"layers": [3]}, "no layer 3; this network has 0 to 2, or -3 to -1 from the end"),
        ({"layers": [2, -1]}, "names a layer twice"),
    ],
)
def test_settings_that_do_not_fit_the_network_are_refused(folder, given, message) -> None:
    with pytest.raises(JobError, match=message):
        read_weights(job_of(folder, **given))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(RATE), "silence"),
        (np.ones(50), "the network needs one frame"),
        (np.zeros(0), "no"),
    ],
)
def test_bad_sound_is_refused_with_a_reason(folder, samples, message) -> None:
    with pytest.raises(FeatureError, match=message):
        speech_embedding(np.array(samples), settled(folder))


def test_the_shortest_sound_has_one_frame(folder) -> None:
    settings = settled(folder, pool="mean+deviation")
    assert settings.about is not None
    found = speech_embedding(VOICE[: settings.about.window], settings)
    assert np.isfinite(found).all()
    assert (found[:, 1] == 0).all()


def test_a_store_names_layers_and_is_evaluated_without_the_folder(folder, tmp_path) -> None:
    for actor in (1, 2):
        for emotion in (3, 5):
            name = f"03-01-0{emotion}-01-01-01-0{actor}.wav"
            (tmp_path / name).write_bytes(wav(tone(0.4, pitch=100.0 * emotion + actor)))
    job = job_of(folder, layers=[1, -1], pool="mean+deviation")
    summary = extract(job, str(tmp_path), tmp_path / "store.zarr")
    assert (summary.done, summary.total) == (4, 4), summary.failures
    data = emodask.open(tmp_path / "store.zarr")["speech_embedding"]
    assert data.dims == ("clip", "speech_layer", "speech_statistic", "speech_unit")
    assert data["speech_layer"].values.tolist() == ["layer 1", "layer 2"]
    assert data["speech_statistic"].values.tolist() == ["mean", "deviation"]
    again = extract(job, str(tmp_path), tmp_path / "store.zarr")
    assert again.computed == 0
    assert str(folder) not in json.dumps(emodask.open(tmp_path / "store.zarr").attrs)
    unread = job_of(None, layers=[1, -1], pool="mean+deviation")
    metrics = emodask.evaluate(unread, tmp_path / "store.zarr", tmp_path / "report", pictures=False)
    assert metrics["protocols"]["loso"]["models"]["ridge"]["uar"] is not None


def test_the_voice_of_a_store_is_drawn_without_the_network(folder, tmp_path, monkeypatch) -> None:
    (tmp_path / "03-01-03-01-01-01-01.wav").write_bytes(wav(tone(0.8)))
    job = job_of(folder)
    settings = job.settings()
    settings["features"]["speech_embedding"]["weights"] = str(folder)
    settings["features"]["mfcc_statistics"] = {"rate": 8000}
    for name, wanted, voice in [
        ("one.zarr", job, "speech_embedding"),
        ("two.zarr", parse_job(settings), "mfcc_statistics"),
    ]:
        assert not extract(wanted, str(tmp_path), tmp_path / name).failures
        features = StoredFeatures.at(StoreAddress.of(tmp_path / name))
        assert features.voice == voice
        monkeypatch.setattr(frozen, "load", lambda *args: pytest.fail("weights were loaded"))
        frozen.frozen.cache_clear()
        with MediaReader(features.job, [str(tmp_path)]) as reader:
            found = clip_pictures(features, features.clips[0], reader)
        assert found.left_out == ()
        assert found.samples.size > 0
        monkeypatch.undo()


def test_a_decoder_process_loads_once_and_gives_the_same_numbers(folder) -> None:
    job = read_weights(job_of(folder))
    decoder = Decoder(job)
    try:
        sound = wav(tone(0.5, rate=RATE), rate=RATE)
        compute = decoder.for_clip()
        found = [compute(job, "c", "audio", sound, {})[0]["speech_embedding"] for _ in range(2)]
    finally:
        decoder.close()
    from emodask.media import mono_samples

    here = speech_embedding(
        mono_samples(sound, rate=RATE), job.features["speech_embedding"].settings
    )
    assert all(one.tobytes() == here.tobytes() for one in found)


def test_the_memory_of_a_network_is_planned_for(folder) -> None:
    found = family("speech_embedding")
    settings = read_weights(job_of(folder)).features["speech_embedding"].settings
    assert found.resident(settings) > found.resident(Settings())
    minute, second = (found.memory(settings, seconds * RATE) for seconds in (60, 1))
    assert minute > 60 * second > 0  # what attends to what grows with the square


def test_without_transformers_the_job_is_refused_at_once(folder, monkeypatch) -> None:
    speech.network.cache_clear()
    monkeypatch.setattr(speech, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'emodask\[speech\]'"):
        read_weights(job_of(folder))


def test_nothing_else_imports_it() -> None:
    code = (
        "import sys; from emodask.job import load_job; from emodask.job_files import shipped_jobs\n"
        "from emodask.features import family, family_names\n"
        "[family(name) for name in family_names()]; [load_job(name) for name in shipped_jobs()]\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
