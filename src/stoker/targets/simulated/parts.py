"""The parts of a message's content, which vLLM looks at only when it reads them: texts, nothing else, for a
text model.

Source: vLLM 0.32 `renderers/chat_utils.py`; what is wrong is told in pydantic's own text.
"""

from typing import Any

from stoker.targets.simulated.refusals import bad_request

_KINDS = (
    ("ChatCompletionContentPartTextParam", "text", "text"),
    ("ChatCompletionContentPartImageParam", "image_url", "image_url"),
    ("ChatCompletionContentPartInputAudioParam", "input_audio", "input_audio"),
    ("File", "file", "file"),
)
_OTHERS = ("image_url", "image_pil", "image_embeds", "audio_url", "input_audio", "audio_embeds", "video_url")
_MORE = "    For further information visit https://errors.pydantic.dev/2.14/v/"


def check(content: Any, model: str) -> None:
    """Raises: Refused (400), for parts that are none, and for images and sounds."""
    for number, part in enumerate(content if isinstance(content, list | dict) else ()):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in _OTHERS:
            raise bad_request(f"{model} is not a multimodal model")
        if kind not in ("text", "refusal"):
            raise _wrong(number, part)


def _wrong(number: int, part: Any) -> Exception:
    found: list[str] = []
    for name, field, kind in _KINDS:
        where = f"{number}.{name}"
        if not isinstance(part, dict):
            found += _told(where, "Input should be a valid dictionary", "dict_type", part)
            continue
        if field not in part:
            found += _told(f"{where}.{field}", "Field required", "missing", part)
        if "type" not in part:
            found += _told(f"{where}.type", "Field required", "missing", part)
        elif part["type"] != kind:
            found += _told(f"{where}.type", f"Input should be '{kind}'", "literal_error", part["type"])
    head = f"{len(found) // 3} validation errors for ValidatorIterator"
    return bad_request("\n".join((head, *found)))


def _told(where: str, text: str, kind: str, value: Any) -> list[str]:
    given = f"[type={kind}, input_value={value!r}, input_type={type(value).__name__}]"
    return [where, f"  {text} {given}", f"{_MORE}{kind}"]
