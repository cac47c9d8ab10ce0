"""What of an answer must be the same whoever answers, and answers as they are recorded."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.asking import Said, ask
from tests.support.contract import REFUSED, SERVED, TEXT, Case
from tests.support.refusals import MORE

CASES = (*SERVED, *REFUSED, *MORE)
RELEASE = "0.32.0"
FOLDER = Path(__file__).parent.parent / "data" / "answers"
FILE = FOLDER / f"vllm-{RELEASE}.jsonl"
_TOLD = ("content", "text", "delta", "token", "decoded_token", "prompt")  # what an engine says
_IDS = ("prompt_token_ids", "tokens", "token_strs")  # as many as the engine's tokenizer makes of a text
_READ = ("prompt_tokens", "total_tokens", "input_tokens", "original_input_tokens", "count")
_MANY = 100  # an answer longer than this was as long as the context lets it be


def recorded() -> dict[str, Said]:
    """Real vLLM's answers, by the cases' names."""
    rows = [json.loads(line) for line in FILE.read_text().splitlines()]
    return {
        row["name"]: Said(row["status"], row["headers"], row.get("body"), _events(row.get("events")))
        for row in rows
    }


def _events(found: list[Any] | None) -> tuple[Any, ...] | None:
    return None if found is None else tuple(found)


def record(port: int) -> None:
    """Writes the answers of the engine on this port; see `__main__`."""
    FOLDER.mkdir(exist_ok=True)
    rows = [{"name": case.name, **_neutral(ask(port, case).json())} for case in CASES]
    FILE.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def shape(case: Case, said: Said) -> Any:
    """What must be equal: all of it where the case says so, else without content, numbers and ids.

    What is expected to be refused and is served is compared as any answer is.
    """
    neutral = _neutral(said.json())
    if case.whole and (said.status != 200 or case.method == "GET"):
        return neutral
    exact = case.path == TEXT and isinstance(case.body, dict) and isinstance(case.body["prompt"], list)
    reduced = _reduced(neutral, exact)
    return {**reduced, "events": _lanes(reduced["events"])} if "events" in reduced else reduced


def _lanes(events: list[Any]) -> Any:
    """The events of each choice by themselves: which comes first within a step is chance."""
    lanes: dict[int, list[Any]] = {}
    for event in events:
        choices = event.get("choices") if isinstance(event, dict) else None
        lanes.setdefault(choices[0]["index"] if choices else -1, []).append(event)
    return lanes


def _neutral(value: Any) -> Any:
    """Without ids, times, folders, ports and the metrics of a moment."""
    if isinstance(value, dict):
        return {name: _neutral_field(name, item) for name, item in value.items()}
    return [_neutral(item) for item in value] if isinstance(value, list) else value


def _neutral_field(name: str, value: Any) -> Any:
    if name in ("created", "created_at"):
        return 0
    if name == "root":
        return "/model"
    if name == "location":
        return re.sub(r":\d+/", ":PORT/", value)
    if name in ("id", "item_id", "system_fingerprint") and isinstance(value, str):
        return re.sub(r"[0-9a-f]{16}|(?<=-)[0-9a-f]{8}$", "ID", value)
    if name == "body" and isinstance(value, str) and value.startswith("# HELP"):
        return "a page of metrics"
    return _neutral(value)


def _reduced(value: Any, exact: bool) -> Any:
    if isinstance(value, dict):
        return {name: _reduced_field(name, item, exact) for name, item in value.items()}
    return [_reduced(item, exact) for item in value] if isinstance(value, list) else value


def _reduced_field(name: str, value: Any, exact: bool) -> Any:
    if name in _TOLD and isinstance(value, str):
        return "told" if value else ""
    if name in _READ and not exact:
        return "counted"
    if name == "completion_tokens" and value > _MANY and not exact:
        return "counted"
    if isinstance(value, list):
        return _reduced_list(name, value, exact)
    return type(value).__name__ if name == "logprob" else _reduced(value, exact)


def _reduced_list(name: str, value: list[Any], exact: bool) -> Any:
    if name in _IDS and not exact:
        return ["tokens"]
    if name == "bytes":
        return "bytes"
    if name in ("top_logprobs", "prompt_logprobs") and any(_by_token(item) for item in value):
        return [_reduced_likely(item) for item in value]
    if name in ("token_ids", "token_logprobs", "tokens", "text_offset", "prompt_token_ids"):
        return [type(item).__name__ for item in value]
    return [_reduced(item, exact) for item in value]


def _by_token(item: Any) -> bool:
    return isinstance(item, dict) and "token" not in item


def _reduced_likely(item: Mapping[str, Any] | None) -> Any:
    """Likely tokens are as many as were asked for, and the chosen one where it is none of them."""
    return (
        None if item is None else _reduced({"one": next(iter(item.values()))}, True)["one"].__class__.__name__
    )


if __name__ == "__main__":
    import sys

    record(int(sys.argv[1]))
