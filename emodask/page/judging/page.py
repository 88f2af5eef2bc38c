"""The page on which people upload or record a clip and read the verdict, built with Gradio."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import anyio
import gradio as gr
from anyio.to_thread import run_sync

from emodask.page.judges.judgement import Judgement, Problem
from emodask.page.judging.recordings import Recordings
from emodask.page.judging.verdict import (
    Player,
    opening_html,
    package_text,
    state_html,
    verdict_html,
)

if TYPE_CHECKING:
    from emodask.page.judges.judge import Judge
    from emodask.page.settings import PageSettings

TITLE = "emodask: which emotion does this recording express?"

_BLUE, _DARKER_BLUE = "#1c6cb0", "#155690"
_NOTHING = "There is no recording yet: upload one or record one first."
_GONE = "The recording is no longer here: upload it or record it again."
_SESSIONS = 500
"""Pages whose state Gradio remembers; this one has none."""

_MOST_EVENTS = 200
"""Events that wait; more are told to come again. Far fewer than the sessions Gradio remembers."""

_ESTIMATE_SECONDS = 5.0

_SPARE = 8
"""Threads beyond those that judge and wait: they tell others at once that the queue is full."""

_log = logging.getLogger(__name__)


def make_page(
    judge: Judge, settings: PageSettings, recordings: Recordings, results: bool = False
) -> gr.Blocks:
    """The page, to be mounted with :func:`page_options` behind a gate.

    Parameters
    ----------
    judge : Judge
    settings : PageSettings
    recordings : Recordings
        Those that came by the page's own routes: it takes no other file.
    results : bool
        Whether the same server has the pages of results.

    Returns
    -------
    gradio.Blocks
    """
    limiter: list[anyio.CapacityLimiter] = []

    async def outcome(path: Path) -> Judgement:
        if not limiter:  # it belongs to the event loop that runs now
            limiter.append(anyio.CapacityLimiter(judge.places + _SPARE))
        return await run_sync(_outcome, judge, path, limiter=limiter[0])

    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.HTML(opening_html(judge.cards, settings, results))
        with gr.Tabs():
            with gr.Tab("Video"):
                video = gr.Video(
                    sources=["upload", "webcam"],
                    include_audio=True,
                    label="Clip of one person",
                    elem_id="clip",
                    webcam_options=gr.WebcamOptions(mirror=True),
                    buttons=[],
                )
                judge_video = _button("Judge this clip")
            hears = any(set(card.modalities) == {"audio"} for card in judge.cards)
            with gr.Tab("Sound only", visible=hears):
                sound = gr.Audio(
                    sources=["upload", "microphone"],
                    type="filepath",
                    label="Voice of one person",
                    elem_id="sound",
                    buttons=[],
                )
                judge_sound = _button("Judge this sound")
        verdict = gr.HTML(elem_id="verdict", js_on_load=package_text("timeline.js"))
        buttons = [judge_video, judge_sound]
        kinds: tuple[tuple[gr.Button, gr.Video | gr.Audio, Literal["video", "audio"]], ...] = (
            (judge_video, video, "video"),
            (judge_sound, sound, "audio"),
        )
        for button, recording, kind in kinds:
            button.click(
                _judging(judge, outcome, recordings, kind),
                inputs=recording,
                outputs=[verdict, *buttons],
                show_progress="hidden",
                concurrency_limit=None,
                api_visibility="private",
            )
            # An old verdict beside a new recording would mislead.
            recording.change(
                None, js="() => ''", outputs=verdict, queue=False, api_visibility="private"
            )
            recording.change(
                _showing(recordings, kind),
                inputs=recording,
                show_progress="hidden",
                concurrency_limit=None,
                api_visibility="private",
            )
            _take_only(recordings, recording)
        page.load(None, js=package_text("aids.js"), api_visibility="private")
        page.unload(_nothing)  # or browsers would not keep the connection that says a page is open
    # Estimates with each event that begins would stop the queue when a session is forgotten.
    page.queue(max_size=_MOST_EVENTS, status_update_rate=_ESTIMATE_SECONDS)
    page.state_session_capacity = _SESSIONS
    return page


def page_events(page: gr.Blocks) -> set[int]:
    """Gradio's numbers of the events that the page's players and buttons cause on the server."""
    return {
        number
        for number, one in page.fns.items()
        if one.fn is not None and {event for _, event in one.targets} <= {"click", "change"}
    }


def _nothing() -> None:
    """What Gradio does when a page is left; the gate has seen it, too."""


def page_options(settings: PageSettings) -> dict[str, Any]:
    """What ``gradio.mount_gradio_app`` or ``Blocks.launch`` needs besides the page itself.

    Fonts are those of the reader's machine, and no link leads to another server.

    Parameters
    ----------
    settings : PageSettings

    Returns
    -------
    dict
        Keyword arguments.
    """
    theme = gr.themes.Default(
        primary_hue="blue",
        font=("Segoe UI", "Roboto", "Noto Sans", "sans-serif"),
        font_mono=("DejaVu Sans Mono", "monospace"),
    ).set(
        # Gradio's orange is too pale for the white words on it.
        button_primary_background_fill=_BLUE,
        button_primary_background_fill_dark=_BLUE,
        button_primary_background_fill_hover=_DARKER_BLUE,
        button_primary_background_fill_hover_dark=_DARKER_BLUE,
    )
    return {
        "theme": theme,
        "css": package_text("page.css"),
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": settings.max_upload,
        "show_error": False,
        "ssr_mode": False,
        "mcp_server": False,
        "pwa": False,
    }


def _button(text: str) -> gr.Button:
    return gr.Button(text, variant="primary", elem_classes="judge-button")


def _showing(recordings: Recordings, player: str) -> Callable[[str | None, gr.Request], None]:
    """What a player does when it shows another recording, or none."""

    def shown(file: str | None, request: gr.Request) -> None:
        recordings.show(request.session_hash or "", player, file)

    return shown


def _take_only(recordings: Recordings, component: gr.Video | gr.Audio) -> None:
    """Let a component take recordings alone, not other files or addresses that a visitor names.

    Gradio copies or fetches whatever an event names, if its page is mounted and not launched.
    """

    async def held(url_or_file_path: str | Path | None) -> str | None:
        if url_or_file_path is None or recordings.held(str(url_or_file_path)) is None:
            raise gr.Error(_GONE)
        return str(url_or_file_path)

    component.async_move_resource_to_block_cache = held  # type: ignore[method-assign]


def _judging(
    judge: Judge,
    outcome: Callable[[Path], Awaitable[Judgement]],
    recordings: Recordings,
    kind: Literal["video", "audio"],
) -> Callable[[str | None], AsyncIterator[tuple[Any, Any, Any]]]:
    """What a button does: say that it judges, then what came out."""

    async def judged(file: str | None) -> AsyncIterator[tuple[Any, Any, Any]]:
        if file is None or recordings.held(file) is None:
            none = Judgement("", problem=Problem("failed", _GONE if file else _NOTHING))
            yield verdict_html(none, Player("", kind), judge.cards), gr.skip(), gr.skip()
            return
        path = Path(file)
        busy = gr.update(interactive=False)
        text = f"Judging {path.name}: reading it, looking at it, listening to it …"
        yield state_html(text), busy, busy
        player = Player(f"gradio_api/file={quote(file)}", kind)
        found = await outcome(path)
        try:
            html = verdict_html(found, player, judge.cards)
        except Exception:  # the buttons have to come back
            html = verdict_html(_broken(path), player, judge.cards)
        ready = gr.update(interactive=True)
        yield html, ready, ready

    return judged


def _outcome(judge: Judge, path: Path) -> Judgement:
    try:
        return judge.judge(path, path.name)
    except Exception:
        return _broken(path)


def _broken(path: Path) -> Judgement:
    """Whatever broke just now, the person waits for an answer; the log says the rest."""
    _log.exception("judging failed")
    problem = Problem("failed", "Judging failed here; the server's log says why.")
    return Judgement(path.name, problem=problem)
