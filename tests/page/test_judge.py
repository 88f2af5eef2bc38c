"""Promises of the judge: verdicts as predictions give them, clear problems, nobody else harmed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

from emodask.errors import BundleError, UsageError
from emodask.isolation.asking import ProcessDied
from emodask.media.tracks import tracks
from emodask.media.video import gray_frames
from emodask.models.bundle import load_bundle
from emodask.page.judges import pictures
from emodask.page.judges.bench import Bench
from emodask.page.judges.cards import card_of, cards_of
from emodask.page.judges.judge import Judge
from emodask.page.judges.judge_process import JudgeProcess, unpacked
from emodask.page.judges.judge_side import packed
from emodask.page.judges.judgement import Judgement
from emodask.page.judges.pictures import has_face
from emodask.prediction import predict_timeline
from tests.media_files import moving_bars, mp4, tone, wav

PNG = b"\x89PNG\r\n\x1a\n"


def wait_until(true, seconds: float = 60.0) -> None:
    """Wait for what another process brings about; fail if it does not."""
    event = threading.Event()
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        event.wait(0.02)


def test_the_verdict_is_that_of_predict_timeline_with_pictures(judge, recorded, page_bundles):
    found = judge.judge(recorded / "talk.mp4", "talk.mp4")
    (line,) = predict_timeline(page_bundles["both"], recorded / "talk.mp4")
    assert found.problem is None
    assert found.probabilities == pytest.approx(line.probabilities)
    assert [dict(step) for step in found.steps] == [step.as_dict() for step in line.steps]
    assert (found.name, found.bundle) == ("talk.mp4", judge.cards[0].name)
    assert found.seconds == pytest.approx(2.5, abs=0.1)
    assert set(found.pictures) == {"face", "voice"}
    assert all(data.startswith(PNG) for data in found.pictures.values())
    assert "calibrat" in found.trust
    (note,) = found.notes
    assert "acted North American speech" in note
    assert "was not measured" in found.trust


def test_a_video_without_a_face_is_judged_with_a_warning(clip):
    frames = gray_frames(clip.read_bytes(), height=240, width=426, frames=50)
    assert has_face(frames) is True
    assert has_face(np.roll(frames[:, ::-1], 100, axis=1)) is False
    assert has_face(frames[:, ::4, ::4]) is None


def test_the_page_says_that_no_face_was_found(page_bundles, recorded, monkeypatch):
    bench = Bench([load_bundle(page_bundles["both"])])
    monkeypatch.setattr(pictures, "_ROWS_TO_TELL", 1)
    found = bench.judge(recorded / "talk.mp4", "talk.mp4", 10)
    assert found.notes[0].startswith("No face was found")


@pytest.mark.parametrize("name", ["vp8.webm", "vp9.webm"])
def test_what_browsers_record_is_read_without_a_duration(judge, recorded, name):
    held = tracks(recorded / name)
    assert (held.modalities, held.seconds) == ({"video", "audio"}, None)
    found = judge.judge(recorded / name, name)
    assert found.problem is None
    assert found.seconds == pytest.approx(2.5, abs=0.1)
    assert sum(found.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["voice.webm", "voice.wav"])
def test_a_bundle_of_one_modality_stands_in_and_says_so(judge, recorded, name):
    found = judge.judge(recorded / name, name)
    assert found.problem is None
    assert found.bundle == judge.cards[1].name
    assert found.modalities == ("audio",)
    assert set(found.pictures) == {"voice"}
    note, warning = found.notes
    assert "acted North American speech" in warning
    assert "it has sound alone" in note
    assert "judged it by sound alone" in note


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("mute.mp4", "missing-modality", "This recording has video alone"),
        ("silent.mp4", "no-voice", "The recording is silent"),
        ("blink.mp4", "too-short", "too short to judge"),
        ("broken.mp4", "not-media", "end of the file is missing"),
        ("text.mp4", "not-media", "no video or sound file; mp4, webm"),
        ("empty.mp4", "not-media", "The file is empty"),
    ],
)
def test_problems_are_said_in_clear_words(judge, recorded, name, code, words):
    found = judge.judge(recorded / name, name)
    assert found.problem is not None
    assert found.problem.code == code, found.problem.text
    assert words in found.problem.text
    assert (found.name, found.probabilities, found.pictures) == (name, {}, {})


def test_longer_recordings_than_allowed_are_refused_with_and_without_a_duration(
    judge, recorded, page_bundles, tmp_path
):
    (tmp_path / "long.wav").write_bytes(wav(tone(11.0)))
    (tmp_path / "long.mp4").write_bytes(mp4(moving_bars(11 * 5), rate=5, sound=tone(1.0)))
    for name in ("long.wav", "long.mp4"):
        problem = judge.judge(tmp_path / name, name).problem
        assert problem is not None
        assert (problem.code, "longer than 10 seconds" in problem.text) == ("too-long", True)
    bench = Bench([load_bundle(page_bundles["both"])])
    said = bench.judge(recorded / "vp8.webm", "vp8.webm", 1.5).problem
    assert said is not None
    assert said.code == "too-long"


def test_a_face_that_is_wanted_and_not_there_is_a_problem_of_its_own(page_bundles, recorded):
    bundle = load_bundle(page_bundles["both"])
    settings = bundle.job.settings()
    settings["features"]["hog3d"]["crop"] = "face"
    from dataclasses import replace

    from emodask.job import parse_job

    faces = replace(bundle, job=parse_job(settings))
    found = Bench([faces]).judge(recorded / "talk.mp4", "talk.mp4", 10.0)
    assert found.problem is not None
    assert found.problem.code == "no-face"


def test_a_killed_judge_fails_its_recording_and_is_started_again(judge, recorded):
    (before,) = judge.pids
    answers = []
    os.kill(before, signal.SIGSTOP)  # in the middle of the judgement, for as long as we like
    asking = threading.Thread(
        target=lambda: answers.append(judge.judge(recorded / "talk.mp4", "talk.mp4"))
    )
    asking.start()
    wait_until(lambda: judge._idle.empty())
    os.kill(before, signal.SIGKILL)
    asking.join(60)
    (killed,) = answers
    assert killed.problem is not None
    assert killed.problem.code == "failed"
    assert "SIGKILL" in killed.problem.text
    again = judge.judge(recorded / "talk.mp4", "talk.mp4")
    assert again.problem is None
    assert judge.pids != (before,)


def test_a_judge_that_died_while_idle_costs_nobody_anything(judge, recorded):
    (before,) = judge.pids
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: not judge.pids)
    assert judge.judge(recorded / "talk.mp4", "talk.mp4").problem is None


def test_a_judgement_that_takes_too_long_is_stopped(judge, recorded, monkeypatch):
    monkeypatch.setattr(judge, "seconds", 0.5)
    os.kill(judge.pids[0], signal.SIGSTOP)
    late = judge.judge(recorded / "talk.mp4", "talk.mp4")
    assert late.problem is not None
    assert (late.problem.code, "0.5 seconds" in late.problem.text) == ("took-too-long", True)
    monkeypatch.setattr(judge, "seconds", 60.0)
    assert judge.judge(recorded / "talk.mp4", "talk.mp4").problem is None


def test_threads_together_lose_nothing_and_more_than_may_wait_are_turned_away(judge, recorded):
    os.kill(judge.pids[0], signal.SIGSTOP)
    names = [f"{number}.wav" for number in range(12)]
    answers: dict[str, Judgement] = {}
    threads = [
        threading.Thread(
            target=lambda name=name: answers.update(
                {name: judge.judge(recorded / "voice.wav", name)}
            )
        )
        for name in names
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answers) == 3)  # 1 is judged, 8 wait
    assert {answer.problem.code for answer in answers.values() if answer.problem} == {"busy"}
    os.kill(judge.pids[0], signal.SIGCONT)
    for thread in threads:
        thread.join(60)
    assert set(answers) == set(names)
    assert all(answer.name == name for name, answer in answers.items())
    assert sum(answer.problem is None for answer in answers.values()) == 9


def test_what_is_no_bundle_and_what_needs_a_table_are_refused_at_the_start(tmp_path):
    with pytest.raises(BundleError, match="not a bundle"):
        Judge([tmp_path]).start()
    with pytest.raises(UsageError, match="no bundle"):
        Judge([])


def test_answers_of_a_judge_that_was_taken_over_are_no_judgements():
    good = Judgement("a", probabilities={"sad": 1.0}, pictures={"face": PNG + b"x"})
    parts, payload = packed(good)
    assert unpacked("a", parts, payload) == good
    with pytest.raises(ValueError, match="no PNG"):
        unpacked("a", [parts[0], ["face", 3]], payload)
    with pytest.raises(ValueError, match="do not fit"):
        unpacked("a", [["judgement", len(payload) + 1]], payload)
    with pytest.raises(ValueError, match="code"):
        unpacked("a", [["judgement", 39]], b'{"problem": {"code": "x", "text": "y"}}')


@pytest.mark.parametrize(
    "answer",
    [
        "nonsense\n",
        "[]\n",
        "[" * 50_000 + "\n",
        "{}\n",
        '{"bytes": "0"}\n',
        '{"bytes": 1000000000}\n',
        '{"bytes": 0}\n',
        '{"bytes": 0, "parts": 1}\n',
        '{"bytes": 2, "parts": [["judgement", 2]]}\n[]',
        '{"bytes": 0, "error": "failed"}\n',
        "{" * (1 << 20),
    ],
)
def test_a_judge_that_was_taken_over_is_stopped_whatever_it_answers(tmp_path, monkeypatch, answer):
    (tmp_path / "answer").write_text('{"ready": true, "bytes": 2}\n[]' + answer)
    pretended = tmp_path / "python"
    pretended.write_text(f"#!/bin/sh\ncat {tmp_path}/answer\nexec cat >{tmp_path}/asked\n")
    pretended.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(pretended))
    process = JudgeProcess({})
    process.start()
    try:
        with pytest.raises(ProcessDied, match="gave an answer that is none, and was stopped"):
            process.ask("a", "a", 1.0, 30.0)
        assert process.pid is None
    finally:
        process.close()


def test_cards_say_what_was_learned_and_what_was_not_measured(judge, page_bundles):
    both, voice = judge.cards
    assert (both.name, both.modalities) == ("small: logistic", ("video", "audio"))
    assert (voice.name, voice.modalities) == ("small: svc", ("audio",))
    assert both.trained_on == "Trained on 24 clips of 3 people."
    assert both.figure == "How well it does on people that it has not met was not measured."
    assert "acted North American speech" in both.warning
    assert "RAVDESS" in both.warning
    assert len(both.emotions) == 8
    loaded = load_bundle(page_bundles["voice"])
    loaded.about["evaluation"] = {
        "loso": {"speaker_independent": True, "uar": 0.49, "uar_ci95": [0.44, 0.54], "ece": None}
    }
    loaded.about["trained_on"]["corpora"] = ["", "ravdess"]
    card = card_of(loaded, "mine")
    assert "49 % of clips right" in card.figure
    assert "44 to 54 %; guessing gives 12.5 %" in card.figure
    assert "RAVDESS" not in card.warning
    loaded.about["trained_on"]["credit"] = "drawn faces. They say nothing about people"
    learned = "It learned from drawn faces. They say nothing about people."
    assert card_of(loaded, "mine").warning == learned
    assert [card.name for card in cards_of([loaded, loaded])] == [
        "small: svc (1)",
        "small: svc (2)",
    ]
