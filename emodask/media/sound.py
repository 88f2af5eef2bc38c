"""The sound of a wav, an mp4 or another media file -> mono samples at one rate."""

from __future__ import annotations

import io

import av
import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from emodask.errors import MediaError
from emodask.media.decoding import SOUND_DECODERS, decode, open_media, why
from emodask.media.limits import MAX_CHANNELS, MAX_SAMPLES, RATE_RANGE
from emodask.media.structure import check_wav, container_of

_BLOCK = 1 << 16
"""Frames of sound that are read at once, before their channels are averaged."""


def mono_samples(
    data: bytes, *, rate: int, seconds: float | None = None, max_seconds: float = 60.0
) -> npt.NDArray[np.float32]:
    """Decode the sound of a wav or mp4 to mono at one sampling rate.

    Channels are averaged, then resampled (soxr, high quality), as ``librosa.load`` does.

    Parameters
    ----------
    data : bytes
        A whole media file. Its first bytes tell what it is, not its name.
    rate : int
        Sampling rate of the result, in Hz.
    seconds : float, optional
        Decode no more than this from the start; None decodes all.
    max_seconds : float
        Longer sound is refused, unless ``seconds`` asks for less.

    Returns
    -------
    ndarray of float32, shape (n,)
        Samples, full scale at 1.

    Raises
    ------
    MediaError
        If there is no sound stream, no sample decodes, a sample is not finite, or the file is
        truncated.
    """
    limit = max_seconds + 1 if seconds is None else min(seconds, max_seconds)
    read = _decode_wav if container_of(data) in ("wav", "flac") else _decode_track
    samples, native = read(data, limit)
    if samples.size == 0:
        raise MediaError("no sound: zero samples decoded")
    if seconds is None and samples.size > max_seconds * native:
        raise MediaError(
            f"the sound is longer than {max_seconds:g} s; cut it into clips of one utterance, or "
            "raise data.max_seconds in the job"
        )
    if not np.isfinite(samples).all():
        raise MediaError("the sound holds samples that are not finite numbers")
    if native == rate:
        return samples
    resampled = soxr.resample(samples, native, rate, quality="HQ")
    wanted = int(np.ceil(samples.size * rate / native))
    fixed = np.zeros(wanted, np.float32)
    fixed[: min(wanted, resampled.size)] = resampled[:wanted]
    return fixed


def _decode_wav(data: bytes, seconds: float) -> tuple[npt.NDArray[np.float32], int]:
    if not data.startswith(b"fLaC"):
        check_wav(data)
    pieces: list[npt.NDArray[np.float32]] = []
    count = 0
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, channels = int(file.samplerate), int(file.channels)
            _check_layout(rate, channels)
            wanted = min(_most(seconds, rate), int(file.frames))
            while count < wanted:
                block = file.read(min(_BLOCK, wanted - count), dtype="float32", always_2d=True)
                if not len(block):
                    raise MediaError(
                        f"the file breaks off after {count / rate:.2f} s of sound; "
                        f"it declares {file.frames / rate:.2f} s"
                    )
                pieces.append(_mono(block.T))
                count += len(block)
                _check_count(count)
    except (soundfile.SoundFileError, RuntimeError, ValueError, OSError) as error:
        raise MediaError(f"not a readable wav file: {why(error)}") from error
    return _joined(pieces), rate


def _decode_track(data: bytes, seconds: float) -> tuple[npt.NDArray[np.float32], int]:
    pieces: list[npt.NDArray[np.float32]] = []
    count = 0
    with open_media(data) as container:
        if not container.streams.audio:
            raise MediaError("it has no sound stream")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise MediaError("its sound stream has no decoder")
        rate, channels = int(stream.rate or 0), int(stream.channels or 0)
        _check_layout(rate, channels)
        limit = _most(seconds, rate)
        try:
            planar = av.AudioResampler(format="fltp", layout=stream.layout, rate=rate)
            for frame in decode(container, stream, SOUND_DECODERS, "sound"):
                for piece in planar.resample(frame):
                    pieces.append(_mono(piece.to_ndarray().astype(np.float32, copy=False)))
                    count += pieces[-1].size
                _check_count(count)
                if count >= limit:
                    break
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(
                f"decoding sound broke off after {count / rate:.2f} s: {why(error)}"
            ) from error
    return _joined(pieces)[:limit], rate


def _most(seconds: float, rate: int) -> int:
    return int(np.ceil(seconds * rate))


def _check_layout(rate: int, channels: int) -> None:
    if not RATE_RANGE[0] <= rate <= RATE_RANGE[1]:
        raise MediaError(f"sampling rate {rate} Hz; expected {RATE_RANGE[0]} to {RATE_RANGE[1]} Hz")
    if not 1 <= channels <= MAX_CHANNELS:
        raise MediaError(f"{channels} sound channels; expected 1 to {MAX_CHANNELS}")


def _check_count(count: int) -> None:
    if count > MAX_SAMPLES:
        raise MediaError(f"more than {MAX_SAMPLES} samples of sound; cut it, or sample it lower")


def _mono(channels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if len(channels) == 1:
        return np.ascontiguousarray(channels[0], np.float32)
    return np.ascontiguousarray(channels.mean(axis=0, dtype=np.float32))


def _joined(pieces: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate(pieces) if pieces else np.empty(0, np.float32)
