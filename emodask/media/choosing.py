"""Which frames of a video are kept as pictures of it."""

from __future__ import annotations


def chosen(n: int, frames: int, every: int) -> list[int]:
    """Numbers of the frames that stand for a video.

    Parameters
    ----------
    n : int
        Frames of the video, at least one.
    frames : int
        How many are chosen.
    every : int
        From one to the next, beginning with the first frame; a video that ends before has the last
        of them again. 0 spreads them evenly over the video: each from the middle of its share.

    Examples
    --------
    >>> chosen(110, 6, every=20)
    [0, 20, 40, 60, 80, 100]
    >>> chosen(50, 4, every=20)
    [0, 20, 40, 40]
    >>> chosen(110, 2, every=0), chosen(110, 1, every=0)
    ([27, 82], [55])
    """
    if every == 0:
        return [(2 * i + 1) * n // (2 * frames) for i in range(frames)]
    last = (n - 1) // every * every
    return [min(i * every, last) for i in range(frames)]
