"""Reads what parameters each architecture has out of transformers into `src/stoker/catalog/data/shapes/`.

    python tools/read_shapes.py              # every architecture of the installed vLLM's registry; an hour
    python tools/read_shapes.py NAME ...     # these alone

Each class is built on the meta device, in a process of its own with bounds of time and memory; nothing is
fetched, and no code but transformers' own is run. Each blueprint is then held against meta builds of random
configs of its class, and the outcome is kept in `index.json`: exact, within, or unknown.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import importlib.metadata
import json
import os
import re
import resource
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "src/stoker/catalog/data/shapes"
SECONDS = 150
# What classes need that do not build with their own defaults: tried one after the other, for all.
BASES: tuple[dict[str, Any], ...] = (
    {},
    {"head_dim": 128},
    {"text_config": {"head_dim": 128}},
    {"attn_config": {"rope_theta": 500000.0}},
    {"text_config": {"model_type": "granite"}},
    {"text_config": {"model_type": "llama", "vocab_size": 128259, "pad_token_id": 128002}},
    {"n_routed_experts": 64, "n_shared_experts": 2},
    {"vocabulary_map": {"<image>": 1}},
    {"num_key_value_heads": 8},
    {"num_hidden_layers": 32, "layer_types": ["conv", "conv", "full_attention", "conv"] * 8},
)
# Blocks that layers share by turns: their ties are made in the class's own way.
SHARED = {"part": ".shared_transformer.", "blocks": ["attr", "", "num_mem_blocks"]}
MEMORY = 8 * 1024**3


def main() -> int:
    """Reads the architectures that are asked for, and writes the index again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--index", action="store_true", help="write the index again, and read nothing")
    parser.add_argument("--half", type=int, help="every other architecture from this one: 0 or 1")
    parser.add_argument("--missing", action="store_true", help="those alone that are not exact yet")
    asked = parser.parse_args()
    DATA.mkdir(parents=True, exist_ok=True)
    if not asked.index:
        prepare()
    names = () if asked.index else asked.names or wanted()
    for name in names if asked.half is None else names[asked.half :: 2]:
        if asked.missing and state(name) == "exact":
            continue
        began = time.monotonic()
        row = read(name)
        print(
            f"  {row['state']:8} {name:48} {row.get('why', '')} {time.monotonic() - began:.0f} s", flush=True
        )
    if asked.half is None:
        write_index()
    return 0


def state(name: str) -> str:
    """How an architecture came out the last time; `open` where kinds of layers were not seen."""
    path = DATA / f"{name}.json"
    if path.exists() and '["a",["==",["item"' in path.read_text():
        return "open"
    return str(json.loads(path.read_text())["checked"]["state"]) if path.exists() else "unknown"


def prepare() -> None:
    """Imports what every architecture needs, once, without the hub."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "critical", "OMP_NUM_THREADS": "1"}
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(ROOT / "src"))
    from shape_tracing import build, checks, classes, explore  # noqa: F401

    from stoker.model.blueprint import drawn  # noqa: F401


def read(name: str) -> dict[str, Any]:
    """One architecture, in a process of its own."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(told)
        row = {"state": "unknown", "why": "no word"}
        try:
            signal.alarm(SECONDS)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            row = one(name)
        except Exception as error:  # the class refuses its own defaults, or needs what is not here
            row = {"state": "unknown", "why": f"{type(error).__name__}: {str(error)[:150]}"}
        finally:
            os.write(tell, json.dumps(row).encode())
            os._exit(0)
    os.close(tell)
    with os.fdopen(told) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"state": "unknown", "why": f"not read within {SECONDS} s"}


def one(name: str) -> dict[str, Any]:
    """Reads an architecture here."""
    from shape_tracing import build, classes, explore
    from shape_tracing.checks import checked

    cls = build.model_class(name)
    if cls is None:
        return {"state": "unknown", "why": "transformers has no such class"}
    base, config = start(cls)
    program = json.loads(json.dumps(explore.program(cls, config)))
    tied = explore.tied(cls, config)
    used = explore.attributes([program, SHARED["blocks"] if name.startswith("Zamba") else []]) | {
        (path, "tie_word_embeddings") for path in tied
    }
    configs = {}
    for path, part in build.config_classes(config):
        keys = {k for p, k in used if p == path}
        if keys or path:
            configs[path] = classes.described(part, path, keys)
            some = classes.partial(config, path, part) if path else {}
            own = classes.inherited(config, base, path, keys) if path else {}
            some = {key: value for key, value in some.items() if key not in own}
            configs[path] |= {"partial": some} if some else {}
            configs[path] |= {"inherited": own} if own else {}
    unread = {"state": "partly", "exact": 0, "of": 0, "worst": 1.0, "type": config.model_type}
    blueprint = {"configs": configs, "program": program, "tied": tied, "checked": unread}
    blueprint |= {"shared": SHARED} if name.startswith("Zamba") else {}
    DATA.mkdir(parents=True, exist_ok=True)
    path = DATA / f"{name}.json"
    path.write_text(json.dumps(blueprint, separators=(",", ":")) + "\n")
    from stoker.model.blueprint import drawn

    def count(text: dict[str, Any]) -> int | None:
        found = drawn(text, name)
        return found.parameters if found else None

    exact, total, worst, notes = checked(cls, config, used, count, base)
    state = "exact" if exact == total and total else "within" if worst < 0.01 else "partly"
    row = {"state": state, "exact": exact, "of": total, "worst": round(worst, 6), "type": config.model_type}
    blueprint["checked"] = row
    path.write_text(json.dumps(blueprint, separators=(",", ":")) + "\n")
    for note in notes:
        print(f"           {note[:400]}", flush=True)
    row["why"] = f"{exact} of {total}, worst {worst:.2%}, {path.stat().st_size:,} bytes"
    return row


def start(cls: Any) -> tuple[dict[str, Any], Any]:
    """A config with which a class can be built, and what it takes beside its defaults. Raises: what the
    defaults raise."""
    from shape_tracing import build

    failed: Exception | None = None
    for base in BASES:
        try:
            config = build.filled(cls.config_class(**base))
            build.traced(cls, config, {})
        except Exception as error:
            failed = failed or error
            continue
        return base, config
    assert failed is not None
    raise failed


def registry() -> dict[str, str]:
    """Architectures of the installed vLLM's registry with the module of each, without importing vLLM."""
    return {name: row[0] for name, row in _tables().items() if not name.startswith("_")}


def gone() -> dict[str, str]:
    """Architectures that an earlier vLLM had, with the last release that did."""
    found: dict[str, str] = _tables()["_PREVIOUSLY_SUPPORTED_MODELS"]
    return found


def _tables() -> dict[str, Any]:
    import importlib.util

    spec = importlib.util.find_spec("vllm")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "model_executor/models/registry.py").read_text()
    out: dict[str, Any] = {}
    for node in ast.parse(text).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Dict):  # type: ignore[union-attr]
            rows = {}
            for key, value in zip(node.value.keys, node.value.values, strict=True):  # type: ignore[union-attr]
                if isinstance(key, ast.Constant):
                    rows[key.value] = ast.literal_eval(value)
            if target.id == "_PREVIOUSLY_SUPPORTED_MODELS":
                out[target.id] = rows
            elif target.id.endswith("_MODELS"):
                out |= rows
    return out


def backend() -> list[str]:
    """transformers' generating classes that vLLM's general back-end takes and its registry has not."""
    before = json.loads((DATA / "index.json").read_text()) if (DATA / "index.json").exists() else {}
    if before.get("backend") and before["transformers"] == importlib.metadata.version("transformers"):
        return before["backend"]  # type: ignore[no-any-return]
    import transformers
    from transformers.models.auto import modeling_auto as auto

    tables = (auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
    names = sorted(
        {name for table in tables for name in table.values() if isinstance(name, str)} - set(registry())
    )
    return [name for name in names if _taken(getattr(transformers, name, None))]


def _taken(cls: Any) -> bool:
    try:
        return bool(cls.is_backend_compatible() or cls._can_set_attn_implementation())
    except Exception:  # a class whose packages are not here
        return False


def twins() -> dict[str, str]:
    """Names of the registry that transformers writes with other capitals."""
    import transformers

    known = {name.lower(): name for name in dir(transformers)}
    names = (n for n in (*registry(), *gone()) if not hasattr(transformers, n))
    return {name: known[name.lower()] for name in names if name.lower() in known}


def wanted() -> list[str]:
    """The registry's architectures that transformers has, and the models that are parts of others."""
    import transformers

    parts = sorted(parts_used())
    twin = twins()
    names = {twin.get(n, n) for n in (*registry(), *gone(), *parts)}
    names = {n for n in names if hasattr(transformers, n)}
    return sorted(
        names, key=lambda name: (name not in parts, not re.search("For(Causal|Cond)|LMHead", name), name)
    )


PARTS = (
    "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "opt", "mixtral",
    "qwen2_moe", "qwen3_moe", "granite", "cohere", "cohere2", "olmo2", "gpt_neox", "stablelm", "starcoder2",
    "smollm3", "ministral3", "gpt_oss", "clip_vision_model", "siglip_vision_model", "siglip2_vision_model",
    "pixtral", "dinov2", "whisper", "qwen2_audio_encoder", "glm4", "deepseek_v3", "ministral",
)  # fmt: skip


def parts_used() -> set[str]:
    """Classes of models that blueprints name as parts, and of those that people put in their place."""
    found = {kind for name, kind in types().items() if name in PARTS}
    for path in DATA.glob("*.json"):
        if path.stem != "index":
            found |= _parts(json.loads(path.read_text())["program"])
    return found


def _parts(program: Any) -> set[str]:
    if not isinstance(program, list):
        return set()
    own = {program[2]} if len(program) == 4 and program[0] == "m" else set()
    return own.union(*(_parts(one) for one in program))


def types() -> dict[str, str]:
    """The class that AutoModel makes, by model_type."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    return {
        name: kind[0] if isinstance(kind, tuple | list) else kind
        for name, kind in MODEL_MAPPING_NAMES.items()
    }


def write_index() -> None:
    """What was read, when, from what, and how each architecture came out."""
    rows = {}
    for path in sorted(DATA.glob("*.json")):
        if path.stem != "index":
            row = json.loads(path.read_text()).get("checked")
            rows |= {path.stem: row} if row else {}
    served, same = registry(), twins()
    index = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "transformers": importlib.metadata.version("transformers"),
        "vllm": importlib.metadata.version("vllm").split("+")[0],
        "served": {
            name: rows.get(same.get(name, name), {"state": "unknown"})["state"] for name in sorted(served)
        },
        "gone": gone(),
        "same": same,
        "backend": backend(),
        "types": {name: kind for name, kind in sorted(types().items()) if kind in rows},
        "checked": {
            name: [row["state"], row["exact"], row["of"], row["worst"]] for name, row in rows.items()
        },
    }
    (DATA / "index.json").write_text(json.dumps(index, indent=0, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    sys.exit(main())
