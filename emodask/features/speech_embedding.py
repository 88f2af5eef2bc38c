"""Hidden layers of wav2vec 2.0, HuBERT or WavLM, pooled over time: speech as networks hear it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from emodask.errors import JobError
from emodask.features import Family
from emodask.features.audio.further_rows import VariantSettings, with_variants
from emodask.features.audio.sound import checked
from emodask.features.network.frozen import LIBRARIES, frozen, inference
from emodask.features.network.settings import WeightedSettings
from emodask.networks.layouts import Layout
from emodask.networks.speech import (
    SOURCES,
    Architecture,
    architecture,
    described_at,
    network,
    weights_at,
)
from emodask.sources.location import Location

STATISTICS = {"mean": ("mean",), "mean+deviation": ("mean", "deviation")}
"""What is taken of each unit over time."""

_TRANSFORMERS = 100 << 20
"""What transformers' modules take of a process beside PyTorch. Measured."""

_MMAP_THRESHOLD = -3
"""glibc's M_MMAP_THRESHOLD."""

_PAIRS = {"wav2vec2": 2, "hubert": 2, "wavlm": 5}
"""How often each head holds a number for all pairs of frames. Measured, and rounded up."""


class Settings(WeightedSettings, VariantSettings):
    """Keys of a job's ``[features.speech_embedding]`` table.

    Attributes
    ----------
    weights : str
        A folder in transformers' layout: ``config.json``, ``preprocessor_config.json`` and
        ``model.safetensors`` or ``pytorch_model.bin``. Weights that torchaudio has saved of
        wav2vec 2.0 or HuBERT are read too, with the ``config.json`` of the same network beside
        them.
    layers : sequence of int, or "all"
        Which layers: 0 is what the first one is given, -1 the last.
    pool : "mean" or "mean+deviation"
        What is taken of each unit over time.
    rate : int
        Samples per second; what the network has learnt from.
    architecture : str
        What the folder's JSON files say. It is filled in; a job file needs none.

    Examples
    --------
    >>> Settings(layers=[-1]).pool
    'mean'
    """

    FILLED: ClassVar[tuple[str, ...]] = ("content", "architecture")

    layers: Annotated[tuple[int, ...], Field(min_length=1)] | Literal["all"] = "all"
    pool: Literal["mean", "mean+deviation"] = "mean"
    rate: int = Field(default=16_000, ge=4000, le=192_000)
    architecture: str = ""

    @field_validator("architecture")
    @classmethod
    def _described(cls, text: str) -> str:
        return architecture(text).text if text else ""

    @property
    def about(self) -> Architecture | None:
        """The network, once its folder has been read."""
        return architecture(self.architecture) if self.architecture else None

    @property
    def layout(self) -> Layout:
        """The tensors that the network's weights must have; none before its folder is read."""
        if not self.architecture:
            return Layout("a network of speech", {}, {}, SOURCES)
        return network(self.architecture)[1]

    def completed(self, place: Location) -> Mapping[str, Any]:
        """What the folder says of its network.

        Raises
        ------
        JobError
            If it has no such layers, or has learnt from another sampling rate.
        SourceError, UnreachableError
            See :func:`emodask.networks.speech.described_at`.
        """
        found = described_at(place)
        if found.rate != self.rate:
            raise JobError(
                f"features.speech_embedding.rate: {self.rate}; the network at {place} has learnt "
                f"from {found.rate} samples a second: use that"
            )
        _chosen(self.layers, found)
        return {"architecture": found.text}

    def file(self, place: Location) -> Location:
        """The file with the network's numbers."""
        return weights_at(place)


def speech_embedding(
    samples: npt.NDArray[np.floating], settings: Settings
) -> npt.NDArray[np.float32]:
    """Statistics over time of hidden layers of a network.

    Parameters
    ----------
    samples : floating-point array, (n,)
        Mono, full scale 1, ``settings.rate`` samples a second.
    settings : Settings
        With ``architecture`` and ``content``, so of weights that this machine has.

    Returns
    -------
    float32 array, (layers, statistics, units)

    Raises
    ------
    FeatureError
        If the samples are not one finite channel that holds sound and is as long as a frame.
    SourceError
        If the weights are not on this machine.
    MemoryError
        If there is no memory for a clip of that length.
    UsageError
        If PyTorch or transformers is not installed.

    Notes
    -----
    All layers come from one pass over the whole clip, without dropout or masks. The last layer is
    what the network gives as its own output: large ones normalise it.
    """
    about = architecture(settings.architecture)
    sound = checked(samples, settings.rate, about.window, "the network needs one frame")
    if about.normalise:
        sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    build, layout = network(settings.architecture)
    module = frozen(build, layout, settings.content)
    import torch

    with inference(), _without_onednn():
        one = torch.tensor(sound, dtype=torch.float32)[None]
        found = module(one, output_hidden_states=True)
        hidden = [*found.hidden_states[:-1], found.last_hidden_state]
        rows = [hidden[layer][0] for layer in _chosen(settings.layers, about)]
        pooled = [torch.stack([row.mean(dim=0) for row in rows])]
        if settings.pool == "mean+deviation":
            pooled.append(torch.stack([row.std(dim=0, correction=0) for row in rows]))
        return torch.stack(pooled, dim=1).numpy()


def _chosen(layers: tuple[int, ...] | Literal["all"], about: Architecture) -> tuple[int, ...]:
    """Places of layers from the first, in the order of a job."""
    count = about.num_hidden_layers + 1
    if layers == "all":
        return tuple(range(count))
    beyond = [layer for layer in layers if not -count <= layer < count]
    if beyond:
        raise JobError(
            f"features.speech_embedding.layers: no layer {beyond[0]}; this network has 0 to "
            f"{count - 1}, or {-count} to -1 from the end"
        )
    places = tuple(layer % count for layer in layers)
    if len(set(places)) < len(places):
        raise JobError(
            f"features.speech_embedding.layers: {list(layers)} names a layer twice: this network "
            f"has {count}"
        )
    return places


def _dims(settings: Settings) -> Mapping[str, int]:
    about = settings.about  # sizes of 0 are not known yet
    layers = 0 if settings.layers == "all" else len(settings.layers)
    return {
        "speech_layer": len(_chosen(settings.layers, about)) if about else layers,
        "speech_statistic": len(STATISTICS[settings.pool]),
        "speech_unit": about.hidden_size if about else 0,
    }


def _coords(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    named = {"speech_statistic": STATISTICS[settings.pool]}
    if about := settings.about:
        places = _chosen(settings.layers, about)
        named["speech_layer"] = tuple(f"layer {place}" for place in places)
    return named


def _memory(settings: Settings, count: int) -> int:
    """Bytes of the convolutions' maps, or of the layers' frames and what attends to what.

    Measured with each of the three networks, on clips of up to a minute.
    """
    about = settings.about
    if about is None:
        return 0
    # The maps of the first convolution are the largest, and gone before the layers begin.
    maps = 4 * max(about.conv_dim) * (count // about.conv_stride[0])
    frames = count // about.hop + 1
    kept = (about.num_hidden_layers + 8) * about.hidden_size + 3 * about.intermediate_size
    pairs = _PAIRS[about.model_type] * about.num_attention_heads * frames
    return max(3 * maps, 4 * frames * (kept + pairs))


def _resident(settings: Settings) -> int:
    known = settings.layout.size if settings.architecture else 0
    return LIBRARIES + _TRANSFORMERS + known


def _prepare(settings: Settings) -> None:
    """Load the network; what PyTorch sets up with its first pass is there then."""
    _give_back_what_is_freed()
    about = architecture(settings.architecture)
    second = np.sin(np.arange(max(about.rate, 2 * about.window)) / 9).astype(np.float32)
    speech_embedding(second, settings)


@contextlib.contextmanager
def _without_onednn() -> Iterator[None]:
    """Without the library that keeps what it has prepared for each length of sound, without end.

    It is a tenth faster, but a process would grow with every clip.
    """
    from torch.backends import mkldnn

    enabled = mkldnn.set_flags(_enabled=False)[0]
    try:
        yield
    finally:
        mkldnn.set_flags(_enabled=enabled)


def _give_back_what_is_freed() -> None:
    """Have glibc return large blocks to the system at once: clips of other lengths need others.

    It would keep them for blocks of the same size, and this process would grow to a multiple.
    """
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # other systems' libraries
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 1 << 20)


FAMILY = with_variants(
    Family(
        modality="audio",
        settings=Settings,
        dims=_dims,
        decode=lambda settings: {"rate": settings.rate},
        compute=lambda samples, settings, seed: speech_embedding(samples, settings),
        memory=_memory,
        coords=_coords,
        prepare=_prepare,
        resident=_resident,
        extra="speech",
    )
)
