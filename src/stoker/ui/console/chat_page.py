"""The chat at `/chat`, in Gradio. Importing this module imports Gradio, which takes seconds of CPU."""

import hmac
import os
import time
from collections.abc import AsyncGenerator
from html import escape
from importlib import import_module
from typing import Any

from starlette.applications import Starlette

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
MAX_TOKENS = 1024
DEFAULT = "model's default"
CSS = """
.gradio-container { max-width: 60rem !important; margin: 0 auto; }
.chat-head { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; }
.chat-head b { font-size: 1.15rem; overflow-wrap: anywhere; }
.chat-head a { margin-left: auto; }
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

    async def ask(asked: str, talk: Talk, *wishes: Any) -> AsyncGenerator[Frame, None]:
        if asked.strip():
            async for frame in _frames(endpoint, (*talk, Turn(asked)), Wishes(*wishes)):
                yield frame

    async def again(talk: Talk, *wishes: Any) -> AsyncGenerator[Frame, None]:
        if talk:
            async for frame in _frames(endpoint, (*talk[:-1], Turn(talk[-1].asked)), Wishes(*wishes)):
                yield frame

    with gr.Blocks(title=f"{endpoint.model} · chat", fill_height=True, analytics_enabled=False) as page:
        talk = gr.State(())
        gr.HTML(_head(endpoint))
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
    return f'<div class="chat-head"><b>{name}</b><span>{url}</span><a href="../">Fleet</a></div>'


def _window() -> Any:
    return gr.Chatbot(
        show_label=False,
        scale=1,
        min_height=240,
        buttons=["copy"],
        reasoning_tags=[("<think>", "</think>")],
        placeholder="Ask something.",
        elem_id="window",
    )


def _box() -> Any:
    return gr.Textbox(
        show_label=False,
        container=False,
        placeholder="Type a message",
        submit_btn=True,
        autofocus=True,
        max_lines=8,
        elem_id="box",
    )


def _settings() -> list[Any]:
    """The inputs, in the order of Wishes' fields. An empty number is the model's own default."""
    with gr.Accordion("Settings", open=False, elem_id="settings"):
        system = gr.Textbox(label="System prompt", lines=2, max_lines=8)
        with gr.Row():
            temperature = gr.Number(
                label="temperature", value=None, placeholder=DEFAULT, step=0.1, min_width=140
            )
            top_p = gr.Number(label="top_p", value=None, placeholder=DEFAULT, step=0.05, min_width=140)
            top_k = gr.Number(label="top_k", value=None, placeholder=DEFAULT, precision=0, min_width=140)
            limit = gr.Number(
                label="max_tokens", value=MAX_TOKENS, placeholder=DEFAULT, precision=0, min_width=140
            )
    return [system, temperature, top_p, top_k, limit]


async def _frames(endpoint: Endpoint, talk: Talk, wishes: Wishes) -> AsyncGenerator[Frame, None]:
    """What changes on the page while the last turn is answered."""
    before, turn, drawn = talk[:-1], talk[-1], time.monotonic()
    yield [gr.Textbox(value="", submit_btn=False, stop_btn=True), shown(talk), talk]
    async for turn in endpoint.answer(talk, wishes):
        if time.monotonic() - drawn >= FRAME_SECONDS:
            drawn = time.monotonic()
            yield [gr.skip(), shown((*before, turn)), (*before, turn)]
    yield [_idle(), shown((*before, turn)), (*before, turn)]


def _idle() -> Any:
    return gr.Textbox(submit_btn=True, stop_btn=False)


def _stopped(talk: Talk) -> Frame:
    talk = (*talk[:-1], talk[-1].noted(STOPPED)) if talk else talk
    return [_idle(), shown(talk), talk]


def _undone(talk: Talk) -> Frame:
    return [gr.Textbox(value=talk[-1].asked if talk else ""), shown(talk[:-1]), talk[:-1]]
