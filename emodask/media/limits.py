"""What media may cost at most: none of these depends on what a file declares."""

from __future__ import annotations

MIN_FRAMES = 2
MAX_SIDE = 8192
MAX_PIXELS = 4096 * 4096
"""Pixels of a frame: a decoder keeps up to 17 of them."""

MAX_HELD = 256 << 20
"""Bytes of scaled frames that are held at once; a longer video is decoded twice."""

MAX_FRAME_RATE = 240.0
"""Frames a second that a declared rate may claim, where it decides how many are decoded."""

LONGEST_GAP = 60.0
"""Seconds from one frame of a long video to the next, beyond which its time stamps are damaged."""

MAX_FRUITLESS_PACKETS = 1000
"""Packets in a row from which no frame comes, before decoding is given up."""

MAX_CHANNELS = 64
RATE_RANGE = (1_000, 768_000)
MAX_SAMPLES = 1 << 26
"""Mono samples of one file: 23 minutes at 48 kHz, 256 MiB."""

MAX_TABLE = 4_000_000
"""Entries that the sample tables of an mp4 may declare: FFmpeg spends 40 to 70 bytes on each."""

MAX_BOXES = 100_000
"""Boxes at the top level of an mp4, and chunks of a wav."""

MAX_STREAMS = 64
PROBE_BYTES = 5_000_000
