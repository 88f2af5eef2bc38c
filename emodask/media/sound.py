"""The sound of a wav, an mp4 or another media file -> mono samples at one rate."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from emodask.errors import MediaError, TooLongError
from emodask.media.decoding import SOUND_DECODERS, decode, open_media, readable, why
from emodask.media.limits import MAX_CHANNELS, MAX_SAMPLES, RATE_RANGE
from emodask.media.structure import check_wav, container_of

_BLOCK = 1 << 16
"""Frames of sound that are read at once, before their channels are averaged."""

SoundPieces = Generator[tuple[int, npt.NDArray[np.float32]], None, None]
"""A sampling rate and the mono samples that follow, piece by piece."""


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
        truncated; TooLongError if it is too long.
    """
    limit = max_seconds + 1 if seconds is None else min(seconds, max_seconds)
    pieces: list[npt.NDArray[np.float32]] = []
    count = native = 0
    with contextlib.closing(sound_pieces(data)) as found:
        for native, piece in found:
            pieces.append(piece)
            count += piece.size
            _check_count(count)
            if count >= _most(limit, native):
                break
    samples = joined(pieces)[: _most(limit, native)]
    if seconds is None and samples.size > max_seconds * native:
        raise TooLongError(
            f"the sound is longer than {max_seconds:g} s; cut it into clips of one utterance, or "
            "raise data.max_seconds in the job"
        )
    return samples_at(samples, native, rate)


def samples_at(samples: npt.NDArray[np.float32], native: int, rate: int) -> npt.NDArray[np.float32]:
    """Mono samples at another sampling rate (soxr, high quality).

    Parameters
    ----------
    samples : ndarray of float32, shape (n,)
    native, rate : int
        What their sampling rate is, and what it shall be, in Hz.

    Returns
    -------
    ndarray of float32, shape (ceil(n * rate / native),)

    Raises
    ------
    MediaError
        If there is no sample, or one is not finite.
    """
    if samples.size == 0:
        raise MediaError("no sound: zero samples decoded")
    if not np.isfinite(samples).all():
        raise MediaError("the sound holds samples that are not finite numbers")
    if native == rate:
        return samples
    resampled = soxr.resample(samples, native, rate, quality="HQ")
    wanted = int(np.ceil(samples.size * rate / native))
    fixed = np.zeros(wanted, np.float32)
    fixed[: min(wanted, resampled.size)] = resampled[:wanted]
    return fixed


def sound_pieces(media: bytes | Path) -> SoundPieces:
    """Decode the sound of a media file piece by piece, mono, never held as a whole.

    Parameters
    ----------
    media : bytes or Path
        A whole media file, or where one lies on disk.

    Yields
    ------
    rate : int
        Its own sampling rate, in Hz, always the same.
    samples : ndarray of float32, shape (n,)
        Those that follow.

    Raises
    ------
    MediaError
        If there is no sound stream, or decoding breaks off.
    """
    with readable(media) as (data, _):
        wav = container_of(data) in ("wav", "flac")
    return _wav_pieces(media) if wav else _track_pieces(media)


def _wav_pieces(media: bytes | Path) -> SoundPieces:
    count = 0
    with readable(media) as (data, raw):
        if data[:4] != b"fLaC":
            check_wav(data)
        try:
            with soundfile.SoundFile(raw) as file:
                rate, channels = int(file.samplerate), int(file.channels)
                _check_layout(rate, channels)
                while count < file.frames:
                    wanted = min(_BLOCK, file.frames - count)
                    block = file.read(wanted, dtype="float32", always_2d=True)
                    if not len(block):
                        raise MediaError(
                            f"the file breaks off after {count / rate:.2f} s of sound; "
                            f"it declares {file.frames / rate:.2f} s"
                        )
                    count += len(block)
                    yield rate, _mono(block.T)
        except (soundfile.SoundFileError, RuntimeError, ValueError, OSError) as error:
            raise MediaError(f"not a readable wav file: {why(error)}") from error


def _track_pieces(media: bytes | Path) -> SoundPieces:
    count = 0
    with open_media(media) as container:
        if not container.streams.audio:
            raise MediaError("it has no sound stream")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise MediaError("its sound stream has no decoder")
        rate, channels = int(stream.rate or 0), int(stream.channels or 0)
        _check_layout(rate, channels)
        try:
            planar = av.AudioResampler(format="fltp", layout=stream.layout, rate=rate)
            for frame in decode(container, stream, SOUND_DECODERS, "sound"):
                for piece in planar.resample(frame):
                    samples = _mono(piece.to_ndarray().astype(np.float32, copy=False))
                    count += samples.size
                    yield rate, samples
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(
                f"decoding sound broke off after {count / rate:.2f} s: {why(error)}"
            ) from error


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


def joined(pieces: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Pieces of sound, one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate(pieces) if pieces else np.empty(0, np.float32)
