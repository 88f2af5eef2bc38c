"""Networks that have learnt to listen to speech: wav2vec 2.0, HuBERT and WavLM, from a folder.

Baevski et al., "wav2vec 2.0: a framework for self-supervised learning of speech representations",
NeurIPS 2020; Hsu et al., "HuBERT: self-supervised speech representation learning by masked
prediction of hidden units", IEEE/ACM TASLP 29, 2021; Chen et al., "WavLM: large-scale
self-supervised pre-training for full stack speech processing", IEEE JSTSP 16, 2022.

A folder in transformers' layout says in ``config.json`` which of the three it is and how large, in
``preprocessor_config.json`` how sound is prepared, and holds the numbers. The modules are
transformers' own; nothing is asked of a hub, and no code of a folder is run.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emodask.errors import SourceError, UnreachableError, UsageError
from emodask.networks import ABSENT as NO_TORCH
from emodask.networks import installed
from emodask.networks.layouts import Layout
from emodask.sources.http import is_web
from emodask.sources.location import Location

if TYPE_CHECKING:
    from torch import nn

ABSENT = "transformers is not installed: pip install 'emodask[speech]'"

SOURCES = (
    "Such weights are a folder with config.json, preprocessor_config.json and model.safetensors "
    "(or pytorch_model.bin), as on Hugging Face's hub: facebook/wav2vec2-base, "
    "facebook/hubert-base-ls960, microsoft/wavlm-base-plus and their larger kin. Each has a "
    "licence of its own, which its page there names. emodask ships none and fetches none by name"
)
"""Where such folders are to be had."""

FILES = ("model.safetensors", "pytorch_model.bin")
"""What weights are called in a folder, the better first."""

_MAX_JSON = 1 << 20

Size = Annotated[int, Field(ge=1, le=1 << 16)]
Activation = Literal["gelu", "gelu_new", "relu", "silu", "swish", "tanh"]


class Architecture(BaseModel):
    """What of a folder's JSON files the hidden layers depend on; other keys are left out.

    Attributes
    ----------
    model_type : str
        Which of the three networks.
    rate : int
        Samples per second that it has learnt from.
    normalise : bool
        Whether the samples of each clip are brought to mean 0 and variance 1.

    Notes
    -----
    The rest are transformers' names and its defaults.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    model_type: Literal["wav2vec2", "hubert", "wavlm"]
    rate: Annotated[int, Field(ge=4000, le=192_000)] = 16_000
    normalise: bool = True
    hidden_size: Size = 768
    num_hidden_layers: Annotated[int, Field(ge=1, le=200)] = 12
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    hidden_act: Activation = "gelu"
    layer_norm_eps: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    feat_extract_norm: Literal["group", "layer"] = "group"
    feat_extract_activation: Activation = "gelu"
    feat_proj_layer_norm: bool = True
    conv_dim: Annotated[tuple[Size, ...], Field(min_length=1, max_length=32)] = (512,) * 7
    conv_stride: tuple[Size, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_kernel: tuple[Size, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_bias: bool = False
    num_conv_pos_embeddings: Size = 128
    num_conv_pos_embedding_groups: Size = 16
    conv_pos_batch_norm: Literal[False] = False
    do_stable_layer_norm: bool = False
    num_buckets: Size = 320
    max_bucket_distance: Size = 800

    @model_validator(mode="after")
    def _fits(self) -> Architecture:
        layers = {len(self.conv_dim), len(self.conv_stride), len(self.conv_kernel)}
        if len(layers) > 1:
            raise ValueError("conv_dim, conv_stride and conv_kernel are of different lengths")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError("hidden_size is no multiple of num_attention_heads")
        if self.hidden_size % self.num_conv_pos_embedding_groups:
            raise ValueError("hidden_size is no multiple of num_conv_pos_embedding_groups")
        return self

    @property
    def window(self) -> int:
        """Samples that one frame of the hidden layers hears before the layers mix them.

        Examples
        --------
        >>> base = Architecture(model_type="wavlm")
        >>> base.window, base.hop
        (400, 320)
        """
        window = 1
        for kernel, stride in zip(self.conv_kernel[::-1], self.conv_stride[::-1], strict=True):
            window = (window - 1) * stride + kernel
        return window

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        hop = 1
        for stride in self.conv_stride:
            hop *= stride
        return hop

    @property
    def text(self) -> str:
        """All of it in one line, the same for the same architecture."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


@functools.lru_cache(maxsize=16)
def architecture(text: str) -> Architecture:
    """The architecture that :attr:`Architecture.text` describes."""
    return Architecture.model_validate_json(text)


def described_at(place: Location) -> Architecture:
    """What the JSON files of a folder say of its network.

    Parameters
    ----------
    place : Location
        The folder.

    Raises
    ------
    SourceError
        If there is no such folder, or its network is none of the three.
    UnreachableError
        If a server does not answer.
    """
    config = _json(place, "config.json")
    if config is None:
        fs, path = place.filesystem()
        there = place._asking("cannot be read", lambda: bool(fs.isdir(path)))
        what = "there is no config.json in it" if there else "no such folder of weights"
        raise SourceError(f"{place}: {what}. {SOURCES}")
    prepared = _json(place, "preprocessor_config.json")
    if prepared is None:  # kin of one size differ in it, and nothing else tells
        raise SourceError(
            f"{place}: there is no preprocessor_config.json in it, which says whether sound is "
            f"normalised. {SOURCES}"
        )
    found = {
        **config,
        "rate": prepared.get("sampling_rate", 16_000),
        "normalise": prepared.get("do_normalize", True),
    }
    try:
        return Architecture.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        shown = (
            "" if first["type"] in ("missing", "value_error") else f" (found {first['input']!r})"
        )
        raise SourceError(
            f"{place}: no network that emodask can listen with: config.json: "
            f"{f'{key}: ' if key else ''}{what}{shown}. {SOURCES}"
        ) from None


def weights_at(place: Location) -> Location:
    """The file with the numbers of a folder's network.

    Raises
    ------
    SourceError
        If there is none.
    """
    for name in FILES:
        if _there(found := _within(place, name)):
            return found
    parts = ", in parts" if _there(_within(place, f"{FILES[0]}.index.json")) else ""
    more = "; save it as one file" if parts else f". {SOURCES}"
    raise SourceError(f"{place}: neither {' nor '.join(FILES)} is in it{parts}{more}")


@functools.lru_cache(maxsize=16)
def network(text: str) -> tuple[Callable[[], nn.Module], Layout]:
    """What makes the module of an architecture, and the tensors that it has.

    Parameters
    ----------
    text : str
        As :attr:`Architecture.text` has it.

    Raises
    ------
    UsageError
        If PyTorch or transformers is not installed.
    """
    if not installed():
        raise UsageError(NO_TORCH)
    if find_spec("transformers") is None:
        raise UsageError(ABSENT)
    import torch

    about = architecture(text)
    build = functools.partial(_build, about)
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
    return build, Layout(_NAMES[about.model_type], shapes, _namings(about, shapes), SOURCES)


_NAMES = {"wav2vec2": "wav2vec 2.0", "hubert": "HuBERT", "wavlm": "WavLM"}


def _build(about: Architecture) -> nn.Module:
    import transformers

    name = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}[about.model_type]
    values = about.model_dump(exclude={"model_type", "rate", "normalise", "conv_pos_batch_norm"})
    # What is masked or dropped at random in training is not: the tensor for it need not be there.
    config = getattr(transformers, f"{name}Config")(
        **values, mask_time_prob=0.0, mask_feature_prob=0.0, layerdrop=0.0, add_adapter=False
    )
    module: nn.Module = getattr(transformers, f"{name}Model")(config)
    return module


def _namings(
    about: Architecture, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Mapping[str, str]]:
    """Names that files have for the tensors: alone, below a task's network, or torchaudio's.

    torchaudio has the same tensors as transformers for wav2vec 2.0 and HuBERT; its WavLM keeps
    three matrices in one, and is not read.
    """
    older = {
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }
    found: dict[str, Mapping[str, str]] = {}
    for norm, renamed in (("", {}), (", before PyTorch 2", older)):
        plain = {name: _replaced(name, renamed) for name in shapes}
        below = {name: f"{about.model_type}.{theirs}" for name, theirs in plain.items()}
        found |= {f"transformers'{norm}": plain, f"transformers' below a task{norm}": below}
        if about.model_type != "wavlm":
            found[f"torchaudio's{norm}"] = {
                name: _torchaudio(theirs) for name, theirs in plain.items()
            }
    return found


def _replaced(name: str, parts: Mapping[str, str]) -> str:
    for old, new in parts.items():
        name = name.replace(old, new)
    return name


def _torchaudio(name: str) -> str:
    """The name that torchaudio has for a tensor.

    Examples
    --------
    >>> _torchaudio("encoder.layer_norm.bias"), _torchaudio("feature_projection.projection.bias")
    ('encoder.transformer.layer_norm.bias', 'encoder.feature_projection.projection.bias')
    """
    if name.startswith("encoder."):
        return f"encoder.transformer.{name.removeprefix('encoder.')}"
    return f"encoder.{name}" if name.startswith("feature_projection.") else name


def _within(place: Location, name: str) -> Location:
    fs, _ = place.filesystem()
    folder, mark, query = place.url.partition("?") if is_web(fs) else (place.url, "", "")
    return Location(f"{folder.rstrip('/')}/{name}{mark}{query}", place.options)


def _there(place: Location) -> bool:
    fs, path = place.filesystem()
    if not is_web(fs):
        fs.invalidate_cache()
        return place._asking("cannot be read", lambda: bool(fs.exists(path)))
    try:  # to fsspec, what a server that does not answer has is not there
        place.pinned()
    except UnreachableError:
        raise
    except SourceError:
        return False
    return True


def _json(place: Location, name: str) -> dict[str, Any] | None:
    """A JSON file of a folder; None if there is none."""
    file = _within(place, name)
    if not _there(file):
        return None
    data = file.read(0, _MAX_JSON)
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file}: not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise SourceError(f"{file}: holds a {type(found).__name__}, not a table of settings")
    return found
