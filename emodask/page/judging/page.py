"""The page on which people upload or record a clip and read the verdict, built with Gradio."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import gradio as gr

from emodask.page.judges.judgement import Judgement, Problem
from emodask.page.judging.kept import KeptRecordings
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

KEPT_SECONDS = 3600
"""How long a recording is kept that came and that no page has shown."""

_BLUE, _DARKER_BLUE = "#1c6cb0", "#155690"
_NOTHING = "There is no recording yet: upload one or record one first."
_log = logging.getLogger(__name__)


def make_page(judge: Judge, settings: PageSettings, results: bool = False) -> gr.Blocks:
    """The page, to be mounted or launched with :func:`page_options`.

    Parameters
    ----------
    judge : Judge
    settings : PageSettings
    results : bool
        Whether the same server has the pages of results.

    Returns
    -------
    gradio.Blocks
    """
    with gr.Blocks(
        title=TITLE,
        analytics_enabled=False,
        delete_cache=(600, KEPT_SECONDS),
    ) as page:
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
            with gr.Tab("Sound only"):
                sound = gr.Audio(
                    sources=["upload", "microphone"],
                    type="filepath",
                    label="Voice of one person",
                    elem_id="sound",
                    buttons=[],
                )
                judge_sound = _button("Judge this sound")
        verdict = gr.HTML(elem_id="verdict", js_on_load=package_text("timeline.js"))
        kept = KeptRecordings(Path(page.GRADIO_CACHE))
        buttons = [judge_video, judge_sound]
        kinds: tuple[tuple[gr.Button, gr.Video | gr.Audio, Literal["video", "audio"]], ...] = (
            (judge_video, video, "video"),
            (judge_sound, sound, "audio"),
        )
        for button, recording, kind in kinds:
            button.click(
                _judging(judge, kind),
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
                _keeping(kept, kind),
                inputs=recording,
                show_progress="hidden",
                queue=False,
                api_visibility="private",
            )
        page.load(None, js=package_text("recorder.js"), api_visibility="private")

        def left(request: gr.Request) -> None:
            kept.left(request.session_hash or "")

        page.unload(left)
    return page


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
        "max_file_size": settings.max_upload,
        "show_error": False,
        "ssr_mode": False,
        "mcp_server": False,
        "pwa": False,
    }


def _button(text: str) -> gr.Button:
    return gr.Button(text, variant="primary", elem_classes="judge-button")


def _keeping(kept: KeptRecordings, player: str) -> Callable[[str | None, gr.Request], None]:
    """What a player does when it shows another recording, or none."""

    def shown(file: str | None, request: gr.Request) -> None:
        kept.show(request.session_hash or "", player, Path(file) if file else None)

    return shown


def _judging(judge: Judge, kind: Literal["video", "audio"]) -> Callable[[str | None], Iterator]:
    """What a button does: say that it judges, then what came out."""

    def judged(file: str | None) -> Iterator[tuple[Any, Any, Any]]:
        if file is None:
            none = Judgement("", problem=Problem("failed", _NOTHING))
            yield verdict_html(none, Player("", kind), judge.cards), gr.skip(), gr.skip()
            return
        path = Path(file)
        busy = gr.update(interactive=False)
        text = f"Judging {path.name}: reading it, looking for the face, listening to the voice …"
        yield state_html(text), busy, busy
        player = Player(f"gradio_api/file={quote(file)}", kind)
        ready = gr.update(interactive=True)
        yield verdict_html(_outcome(judge, path), player, judge.cards), ready, ready

    return judged


def _outcome(judge: Judge, path: Path) -> Judgement:
    try:
        return judge.judge(path, path.name)
    except Exception:
        # Whatever broke, the person waits for an answer; the log says the rest.
        _log.exception("judging failed")
        problem = Problem("failed", "Judging failed here; the server's log says why.")
        return Judgement(path.name, problem=problem)
