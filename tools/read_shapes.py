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
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "src/stoker/catalog/data/shapes"
SECONDS = 400
MEMORY = 8 * 1024**3


def main() -> int:
    """Reads the architectures that are asked for, and writes the index again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--missing", action="store_true", help="those that have no blueprint yet")
    asked = parser.parse_args()
    if asked.one:
        return one(asked.one)
    DATA.mkdir(parents=True, exist_ok=True)
    for name in asked.names or wanted():
        if not (asked.missing and (DATA / f"{name}.json").exists()):
            row = read(name)
            print(f"  {row['state']:8} {name:48} {row.get('why', '')}", flush=True)
    write_index()
    return 0


def read(name: str) -> dict[str, Any]:
    """One architecture, in a process of its own."""
    argv = [sys.executable, __file__, "--one", name]
    env = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "critical", "PYTHONWARNINGS": "ignore"}
    env |= {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, env=env, check=False)
    except subprocess.TimeoutExpired:
        return {"state": "unknown", "why": f"not read within {SECONDS} s"}
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("ROW "):
            return json.loads(line[4:])  # type: ignore[no-any-return]
    return {"state": "unknown", "why": (done.stderr.strip().splitlines() or ["no word"])[-1][:200]}


def one(name: str) -> int:
    """Reads an architecture here. Prints its row."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    from shape_tracing import build, classes, explore
    from shape_tracing.checks import checked

    cls = build.model_class(name)
    if cls is None:
        print("ROW " + json.dumps({"state": "unknown", "why": "transformers has no such class"}))
        return 0
    config = cls.config_class()
    program = json.loads(json.dumps(explore.program(cls, config)))
    tied = explore.tied(cls, config)
    used = explore.attributes(program) | {(path, "tie_word_embeddings") for path in tied}
    configs = {}
    for path, part in build.config_classes(config):
        keys = {k for p, k in used if p == path}
        if keys:
            configs[path] = classes.described(part, path, keys)
    blueprint = {"configs": configs, "program": program, "tied": tied}
    DATA.mkdir(parents=True, exist_ok=True)
    path = DATA / f"{name}.json"
    path.write_text(json.dumps(blueprint, separators=(",", ":")) + "\n")
    from stoker.model.blueprint import drawn

    def count(text: dict[str, Any]) -> int | None:
        found = drawn(text, name)
        return found.parameters if found else None

    exact, total, worst, notes = checked(cls, config, used, count)
    state = "exact" if exact == total and total else "within" if worst < 0.01 else "partly"
    row = {"state": state, "exact": exact, "of": total, "worst": round(worst, 6), "type": config.model_type}
    blueprint["checked"] = row
    path.write_text(json.dumps(blueprint, separators=(",", ":")) + "\n")
    for note in notes:
        print(note[:500])
    row["why"] = f"{exact} of {total}, worst {worst:.2%}, {path.stat().st_size:,} bytes"
    print("ROW " + json.dumps(row))
    return 0


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
    assert spec is not None and spec.origin is not None
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


def wanted() -> list[str]:
    """The registry's architectures that transformers has, and the models that are parts of others."""
    import transformers

    names = [*registry(), *gone()]
    parts = sorted(set(types().values()) & parts_used())
    return [*sorted({n for n in names if hasattr(transformers, n)}), *parts]


PARTS = (
    "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "opt", "mixtral",
    "qwen2_moe", "qwen3_moe", "granite", "cohere", "cohere2", "olmo2", "gpt_neox", "stablelm", "internlm2", "starcoder2",
    "smollm3", "ministral3", "gpt_oss", "clip_vision_model", "siglip_vision_model", "siglip2_vision_model", "pixtral",
    "dinov2", "whisper", "qwen2_audio_encoder", "glm4", "deepseek_v3", "ministral",
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

    return {name: kind[0] if isinstance(kind, tuple | list) else kind for name, kind in MODEL_MAPPING_NAMES.items()}


def write_index() -> None:
    """What was read, when, from what, and how each architecture came out."""
    rows = {}
    for path in sorted(DATA.glob("*.json")):
        if path.stem != "index":
            rows[path.stem] = json.loads(path.read_text())["checked"]
    served = registry()
    index = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "transformers": importlib.metadata.version("transformers"),
        "vllm": importlib.metadata.version("vllm").split("+")[0],
        "served": {name: rows[name]["state"] if name in rows else "unknown" for name in sorted(served)},
        "gone": gone(),
        "types": {name: kind for name, kind in sorted(types().items()) if kind in rows},
        "checked": {name: [row["state"], row["exact"], row["of"], row["worst"]] for name, row in rows.items()},
    }
    (DATA / "index.json").write_text(json.dumps(index, indent=0, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    sys.exit(main())
