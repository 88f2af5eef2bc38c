"""One stream of a media file -> its frames: FFmpeg, held to known decoders and to memory."""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import av

from emodask.errors import MediaError
from emodask.media.limits import MAX_FRUITLESS_PACKETS, MAX_PIXELS, MAX_STREAMS, PROBE_BYTES
from emodask.media.structure import check_mp4, container_of

VIDEO_DECODERS = frozenset(
    {
        *("h264", "hevc", "libdav1d", "av1", "vp8", "vp9", "libvpx", "libvpx-vp9", "theora"),
        *("mpeg1video", "mpeg2video", "mpeg4", "msmpeg4", "msmpeg4v1", "msmpeg4v2", "h263", "flv"),
        *("mjpeg", "dvvideo", "prores", "ffv1", "huffyuv", "ffvhuff", "rawvideo", "wmv1", "wmv2"),
        *("wmv3", "vc1", "vp6f", "png", "qtrle"),
    }
)
SOUND_DECODERS = frozenset(
    {
        *("aac", "aac_latm", "mp2", "mp2float", "mp3", "mp3float", "flac", "alac", "vorbis"),
        *("libvorbis", "opus", "libopus", "ac3", "eac3", "amrnb", "amrwb", "wmav1", "wmav2"),
        *("libopencore_amrnb", "libopencore_amrwb", "nellymoser", "libspeex", "speex", "gsm_ms"),
        *("adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_swf", "pcm_u8", "pcm_s8"),
        *("pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be"),
        *("pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw"),
    }
)


Content = bytes | mmap.mmap
"""The bytes of a file, in memory or where they lie on disk."""


@contextmanager
def readable(media: bytes | Path) -> Iterator[tuple[Content, BinaryIO]]:
    """The bytes of a media file for checks of its layout, and a file for who reads it through.

    A file on disk is mapped, so that a check costs the pages that it looks at, and is read as it is
    decoded: it is never in memory as a whole.

    Raises
    ------
    MediaError
        If it cannot be opened.
    """
    if isinstance(media, bytes):
        yield media, io.BytesIO(media)
        return
    try:
        file = media.open("rb")
    except OSError as error:
        raise MediaError(f"the file cannot be opened: {error.strerror}") from error
    with file:
        empty = not media.stat().st_size  # nothing to map
        yield b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), file


@contextmanager
def open_media(media: bytes | Path) -> Iterator[Any]:
    """Open a media file with the demuxer that its first bytes call for.

    Nothing but its bytes is ever read: a file that names others, or hosts, gets none of them.

    Raises
    ------
    MediaError
        If it is no media file, breaks off, or declares what it cannot hold.
    """
    with readable(media) as (data, file):
        name = container_of(data)
        if name == "mov":
            check_mp4(data)
        with _demuxer(file, name) as container:
            yield container


def _demuxer(file: BinaryIO, name: str) -> Any:
    try:
        return av.open(
            file,
            mode="r",
            format=name,
            options={
                "protocol_whitelist": "none",
                "codec_whitelist": ",".join(sorted(VIDEO_DECODERS | SOUND_DECODERS)),
                "max_pixels": str(MAX_PIXELS),
                "max_streams": str(MAX_STREAMS),
                "probesize": str(PROBE_BYTES),
                "threads": "1",
            },
            io_open=_refuse_to_open,
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        raise MediaError(f"not a media file that can be read: {why(error)}") from error


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a media file must not name other files")


def decode(container: Any, stream: Any, decoders: frozenset[str], what: str) -> Iterator[Any]:
    """Decode the frames of one stream, in one thread.

    Parameters
    ----------
    container, stream : av.container.InputContainer, av.stream.Stream
    decoders : frozenset of str
        FFmpeg's names of those that may be used.
    what : {"video", "sound"}
        For messages.

    Raises
    ------
    MediaError
        If there is no decoder, decoding breaks off, a frame is damaged, or none comes.
    """
    context = stream.codec_context
    if context is None:
        raise MediaError(f"its {what} stream has no decoder")
    if context.name not in decoders:
        raise MediaError(f"its {what} is coded as {context.name}, which emodask does not decode")
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS)}
    count = fruitless = 0
    try:
        for packet in container.demux(stream):
            fruitless += 1
            for frame in packet.decode():
                fruitless = 0
                if frame.is_corrupt:
                    raise MediaError(
                        f"decoding {what} broke off after {count} frames: the next one is damaged"
                    )
                count += 1
                yield frame
            if fruitless > MAX_FRUITLESS_PACKETS:
                raise MediaError(
                    f"decoding {what} broke off after {count} frames: "
                    f"no more came from {fruitless} packets"
                )
    except (av.FFmpegError, ValueError, OSError) as error:
        # FFmpeg says no more than this of pictures that pass max_pixels.
        large = isinstance(error, av.ArgumentError) and what == "video"
        hint = f" (frames of more than {MAX_PIXELS} pixels?)" if large else ""
        raise MediaError(
            f"decoding {what} broke off after {count} frames: {why(error)}{hint}"
        ) from error


def why(error: BaseException) -> str:
    """The first line of what a library says."""
    text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return str(text).splitlines()[0]
