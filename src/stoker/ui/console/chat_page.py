"""The chat at `/chat`, in Gradio. Importing this module imports Gradio, which takes seconds of CPU."""

import hmac
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette

from stoker.errors import UsageError
from stoker.ui.console.conversation import SamplingParams, Talk, Turn, shown
from stoker.ui.console.endpoint_client import Endpoint
from stoker.ui.console.reading import Reading, Readings

os.environ.update(
    {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_MCP_SERVER": "False",
        "GRADIO_SHARE": "False",
        "GRADIO_SSR_MODE": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
    }
)
# After the environment is set; untyped, as its types take mypy half a minute.
gr: Any = import_module("gradio")
if TYPE_CHECKING:
    Visit = Any
else:
    Visit = gr.Request  # Gradio fills in parameters of this type

MAX_TOKENS = "1024"  # a small model may never stop by itself
CSS = """
.gradio-container { width: 100%; max-width: 60rem !important; margin: 0 auto; }
#head p { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; overflow-wrap: anywhere; }
#head strong { font-size: 1.15rem; }
#head a { margin-left: auto; }
"""

Frame = list[Any]  # new values of the box, the window and the conversation


IDLE_SECONDS = 0.2  # how often Gradio's queue looks while it is empty: 20 times a second costs 2 % of a core
PROGRESS_SECONDS = 1.0  # and for progress bars, which are not here: 100 times a second cost 1 %


def load(endpoint: Endpoint, key: str | None) -> Starlette:
    """The page as an app that answers below `/chat`, locked by the key where there is one."""
    app, page = Starlette(), build(endpoint)
    gr.mount_gradio_app(
        app,
        page,
        path="/chat",
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        auth=(lambda _, given: hmac.compare_digest(given.encode(), key.encode())) if key else None,
        auth_message="Any user name will do; the password is the endpoint's API key." if key else None,
        footer_links=[],
        run_history=False,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=CSS,
    )
    page._queue.sleep_when_free = IDLE_SECONDS
    page._queue.progress_update_sleep_when_free = PROGRESS_SECONDS
    return app


def build(endpoint: Endpoint) -> Any:
    """The page's parts and what they do. The conversation is the session's, not taken from the browser."""
    visits = _Visits(endpoint)
    with gr.Blocks(title=f"{endpoint.model} · chat", fill_height=True, analytics_enabled=False) as page:
        talk = gr.State(())
        gr.Markdown(_head(endpoint), elem_id="head")
        window, box = _window(), _box()
        sampling = _settings()
        told = [box, window, talk]
        quiet = {"api_visibility": "private", "show_progress": "hidden"}
        box.submit(visits.ask, [box, talk, *sampling], told, concurrency_limit=None, **quiet)
        window.retry(visits.again, [talk, *sampling], told, concurrency_limit=None, **quiet)
        box.stop(visits.stop, None, None, queue=False, **quiet)
        window.undo(_undone, [talk], told, queue=False, **quiet)
        window.clear(visits.clear, None, [talk], queue=False, **quiet)
        page.unload(visits.stop)
    return page.queue(default_concurrency_limit=None, api_open=False)


class _Visits:
    """What visitors may do, each with the answer that is being read for them."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._readings = Readings()

    async def ask(self, asked: str, talk: Talk, visit: Visit, *typed: str) -> AsyncGenerator[Frame, None]:
        """Another turn."""
        if asked.strip():
            async with aclosing(self._answer((*talk, Turn(asked)), visit, typed)) as frames:
                async for frame in frames:
                    yield frame

    async def again(self, talk: Talk, visit: Visit, *typed: str) -> AsyncGenerator[Frame, None]:
        """The last turn, answered anew."""
        if talk:
            turn = Turn(talk[-1].asked)
            async with aclosing(self._answer((*talk[:-1], turn), visit, typed)) as frames:
                async for frame in frames:
                    yield frame

    async def stop(self, visit: Visit) -> None:
        """What was answered so far stays."""
        self._readings.stop(visit.session_hash)

    async def clear(self, visit: Visit) -> Talk:
        """Nothing stays."""
        self._readings.stop(visit.session_hash, drop=True)
        return ()

    def _answer(self, talk: Talk, visit: Visit, typed: tuple[str, ...]) -> AsyncGenerator[Frame, None]:
        return _frames(self._endpoint, self._readings, visit.session_hash, talk, typed)


def _head(endpoint: Endpoint) -> str:
    name, url = escape(endpoint.model), escape(endpoint.url)
    return f'<p><strong>{name}</strong><span>{url}</span><a href="../" target="_self">Fleet</a></p>'


def _window() -> Any:
    return gr.Chatbot(
        show_label=False,
        scale=1,
        height=260,  # at least: it grows to fill the page
        buttons=["copy"],
        reasoning_tags=[("<think>", "</think>")],
        placeholder="Ask something.",
        elem_id="window",
    )


def _box() -> Any:
    return gr.Textbox(
        "",
        show_label=False,
        container=False,
        placeholder="Type a message",
        submit_btn=True,
        autofocus=True,
        max_lines=8,
        elem_id="box",
    )


def _settings() -> list[Any]:
    """The inputs, in the order of SamplingParams' fields. Numbers are typed: Gradio's Number shows an empty
    one as 0."""
    with gr.Accordion("Settings", open=False, elem_id="settings"):
        system = gr.Textbox("", label="System prompt", lines=2, max_lines=8)
        with gr.Row():
            numbers = [
                gr.Textbox(label=name, value=value, placeholder="model's default", max_lines=1, min_width=130)
                for name, value in (
                    ("temperature", ""),
                    ("top_p", ""),
                    ("top_k", ""),
                    ("max_tokens", MAX_TOKENS),
                )
            ]
    return [system, *numbers]


async def _frames(
    endpoint: Endpoint, readings: Readings, visitor: str, talk: Talk, typed: tuple[str, ...]
) -> AsyncGenerator[Frame, None]:
    """What changes on the page while the last turn is answered. A stopped one draws its own end: Gradio's
    `cancels` would come too late, after frames that undo what a second event drew.
    """
    before, turn = talk[:-1], talk[-1]
    yield [gr.Textbox(value="", submit_btn=False, stop_btn=True), shown(talk), talk]
    try:
        sampling = SamplingParams.parse(*typed)
    except UsageError as mistake:
        talk = (*before, replace(turn, failed=mistake.finding))
        yield [_idle(), shown(talk), talk]
        return
    reading = Reading(endpoint.answer(talk, sampling), turn)
    readings.begin(visitor, reading)
    try:
        async with aclosing(reading.frames()) as frames:
            async for turn in frames:
                yield [gr.skip(), shown((*before, turn)), (*before, turn)]
    finally:
        readings.end(visitor, reading)
    talk = () if reading.dropped else (*before, reading.turn)
    yield [_idle(), shown(talk), talk]


def _idle() -> Any:
    return gr.Textbox(submit_btn=True, stop_btn=False)


def _undone(talk: Talk) -> Frame:
    return [gr.Textbox(value=talk[-1].asked if talk else ""), shown(talk[:-1]), talk[:-1]]
