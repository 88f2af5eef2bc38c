"""The default job's features of a real clip are those of the plain chain, step by step."""

from __future__ import annotations

import numpy as np

from emodask.clip_features import clip_seed
from emodask.clip_rows import compute_clip
from emodask.job import load_job
from emodask.sources.catalogue import scan
from tests.oracles import frames as frames_oracle
from tests.oracles import hog3d as hog3d_oracle


def test_hog3d_of_a_real_clip_correlates_with_the_plain_chain(ravdess):
    catalogue = scan(str(ravdess / "Video_Speech_Actor_01.zip"))
    clip = next(clip for clip in catalogue.clips if clip.clip_id == "01-08-01-01-02-01")
    row = compute_clip(load_job("hog3d"), clip)
    assert row.error == ""
    rgb = frames_oracle.rgb_frames(clip.media_for("video").read(), 240, 426)
    gray = frames_oracle.gray(frames_oracle.interpolated(rgb, 50))
    plain = hog3d_oracle.hog3d(gray)
    found = row.features["hog3d"]
    assert found.shape == plain.shape == (48, 71, 10, 9, 2)
    assert np.corrcoef(found.ravel(), plain.ravel())[0, 1] >= 0.999


def test_seeds_of_clips_are_not_negative_and_differ():
    seeds = {clip_seed(seed, clip) for seed in (0, 42) for clip in ("a", "b", "")}
    assert len(seeds) == 6
    assert min(seeds) >= 0
