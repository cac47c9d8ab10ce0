"""The chat at `/chat`, in Gradio. Importing this module imports Gradio, which takes seconds of CPU."""

import hmac
import os
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from html import escape
from importlib import import_module
from typing import Any

from starlette.applications import Starlette

from stoker.errors import Mistake
from stoker.ui.console.ask import Endpoint
from stoker.ui.console.conversation import STOPPED, Talk, Turn, Wishes, shown

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
gr: Any = import_module(
    "gradio"
)  # after the environment is set; untyped, as its types take mypy half a minute

FRAME_SECONDS = 0.05  # a window redrawn for every token of a fast model lags behind it
MAX_TOKENS = "1024"  # a small model may never stop by itself
CSS = """
.gradio-container { width: 100%; max-width: 60rem !important; margin: 0 auto; }
#head p { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; overflow-wrap: anywhere; }
#head strong { font-size: 1.15rem; }
#head a { margin-left: auto; }
"""

Frame = list[Any]  # new values of the box, the window and the conversation


def load(endpoint: Endpoint, key: str | None) -> Starlette:
    """The page as an app that answers below `/chat`, locked by the key where there is one."""
    app = Starlette()
    gr.mount_gradio_app(
        app,
        build(endpoint),
        path="/chat",
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        auth=(lambda _, given: hmac.compare_digest(given.encode(), key.encode())) if key else None,
        auth_message="Any user name will do; the password is the endpoint's API key." if key else None,
        footer_links=[],
        run_history=False,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=CSS,
    )
    return app


def build(endpoint: Endpoint) -> Any:
    """The page's parts and what they do. The conversation is the session's, not taken from the browser."""

    async def ask(asked: str, talk: Talk, *typed: str) -> AsyncGenerator[Frame, None]:
        if asked.strip():
            async with aclosing(_frames(endpoint, (*talk, Turn(asked)), typed)) as frames:
                async for frame in frames:
                    yield frame

    async def again(talk: Talk, *typed: str) -> AsyncGenerator[Frame, None]:
        if talk:
            async with aclosing(_frames(endpoint, (*talk[:-1], Turn(talk[-1].asked)), typed)) as frames:
                async for frame in frames:
                    yield frame

    with gr.Blocks(title=f"{endpoint.model} · chat", fill_height=True, analytics_enabled=False) as page:
        talk = gr.State(())
        gr.Markdown(_head(endpoint), elem_id="head")
        window, box = _window(), _box()
        wishes = _settings()
        told = [box, window, talk]
        quiet = {"api_visibility": "private", "show_progress": "hidden"}
        asking = box.submit(ask, [box, talk, *wishes], told, concurrency_limit=None, **quiet)
        retrying = window.retry(again, [talk, *wishes], told, concurrency_limit=None, **quiet)
        box.stop(_stopped, [talk], told, cancels=[asking, retrying], queue=False, **quiet)
        window.undo(_undone, [talk], told, queue=False, **quiet)
        window.clear(lambda: (), None, [talk], queue=False, **quiet)
    return page.queue(default_concurrency_limit=None, api_open=False)


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
    """The inputs, in the order of Wishes' fields. Numbers are typed: Gradio's Number shows an empty one as 0."""
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


async def _frames(endpoint: Endpoint, talk: Talk, typed: tuple[str, ...]) -> AsyncGenerator[Frame, None]:
    """What changes on the page while the last turn is answered."""
    before, turn, drawn = talk[:-1], talk[-1], time.monotonic()
    yield [gr.Textbox(value="", submit_btn=False, stop_btn=True), shown(talk), talk]
    try:
        async with aclosing(endpoint.answer(talk, Wishes.parse(*typed))) as turns:
            async for turn in turns:
                if time.monotonic() - drawn >= FRAME_SECONDS:
                    drawn = time.monotonic()
                    yield [gr.skip(), shown((*before, turn)), (*before, turn)]
    except Mistake as mistake:
        turn = replace(turn, failed=mistake.finding)
    yield [_idle(), shown((*before, turn)), (*before, turn)]


def _idle() -> Any:
    return gr.Textbox(submit_btn=True, stop_btn=False)


def _stopped(talk: Talk) -> Frame:
    talk = (*talk[:-1], talk[-1].noted(STOPPED)) if talk else talk
    return [_idle(), shown(talk), talk]


def _undone(talk: Talk) -> Frame:
    return [gr.Textbox(value=talk[-1].asked if talk else ""), shown(talk[:-1]), talk[:-1]]
