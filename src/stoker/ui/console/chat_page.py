"""The chat page, with Gradio. Importing this takes seconds: it is done once the fleet is ready."""

import hmac
import os
from collections.abc import AsyncIterator
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gradio as gr
from fastapi import FastAPI

from stoker.ui.console.ask import Refused, answer
from stoker.ui.console.settings import Settings

SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def chat_app(settings: Settings) -> FastAPI:
    """An application with the chat at `/chat`, locked with the endpoint's key where there is one."""
    app = FastAPI(openapi_url=None)
    key = settings.key
    check = (lambda _, password: hmac.compare_digest(password.encode(), key.encode())) if key else None
    return gr.mount_gradio_app(
        app, _page(settings), path="/chat", auth=check, auth_message="The password is the endpoint's API key.",
        footer_links=[], ssr_mode=False, theme=gr.themes.Default(font=SANS, font_mono=MONO), show_error=True,
    )  # fmt: skip


def _page(settings: Settings) -> gr.Blocks:
    async def reply(
        message: str, history: list[dict[str, Any]], system: str, temperature: float, top_p: float, top_k: float, limit: float
    ) -> AsyncIterator[str]:  # fmt: skip
        params = {"temperature": temperature, "top_p": top_p, "top_k": int(top_k), "max_tokens": int(limit)}
        pieces = answer(settings, messages(history, message, system), params)
        text = ""
        try:
            async for piece in pieces:
                text += piece
                yield text
        except Refused as refused:
            yield f"{text}\n\n⚠ {refused}".strip()

    return gr.ChatInterface(
        reply,
        title=settings.model,
        chatbot=gr.Chatbot(show_label=False, height="65vh", placeholder="Say something."),
        additional_inputs=[
            gr.Textbox("", label="System prompt", lines=2),
            gr.Slider(0.0, 2.0, 0.7, step=0.05, label="temperature"),
            gr.Slider(0.05, 1.0, 1.0, step=0.05, label="top_p"),
            gr.Slider(0, 200, 0, step=1, label="top_k (0: all)"),
            gr.Slider(1, 4096, 256, step=1, label="max_tokens"),
        ],
        additional_inputs_accordion=gr.Accordion("Parameters", open=False),
        analytics_enabled=False,
        flagging_mode="never",
        api_visibility="private",
        concurrency_limit=32,
    )


def messages(history: list[dict[str, Any]], message: str, system: str) -> list[dict[str, str]]:
    """The conversation as the API takes it: system prompt, what was said, what is asked now."""
    out = [{"role": "system", "content": system.strip()}] if system.strip() else []
    out += [{"role": turn["role"], "content": _text(turn["content"])} for turn in history]
    return [*out, {"role": "user", "content": message}]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else str(part.get("text", "")) for part in content)
