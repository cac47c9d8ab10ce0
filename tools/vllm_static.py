"""What a release of vLLM has beside its options, read from its sources: nothing of them is run.

Environment variables (`envs.py`), routes, metric families with the feature they live behind, the registry of
architectures, quantization methods, parsers of tool calls and of reasoning.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

METHODS = {"get", "post", "put", "delete", "patch", "websocket"}
# Routes for users. Whatever changes, reveals or profiles the server is administration, and so is the unknown.
INFERENCE = {
    *("/v1/chat/completions", "/v1/chat/completions/batch", "/v1/chat/completions/render"),
    *("/v1/chat/completions/derender", "/v1/completions", "/v1/completions/render"),
    *("/v1/completions/derender", "/v1/responses", "/v1/responses/render", "/v1/responses/{response_id}"),
    *("/v1/responses/{response_id}/cancel", "/v1/messages", "/v1/messages/count_tokens"),
    *("/v1/messages/render", "/cohere/v2/chat", "/inference/v1/generate", "/generative_scoring"),
    *("/v1/systemone", "/v1/embeddings", "/v2/embed", "/pooling", "/classify", "/score", "/v1/score"),
    *("/rerank", "/v1/rerank", "/v2/rerank"),
    *("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/realtime", "/tokenize", "/detokenize"),
    *("/cohere/v2/chat/render", "/v1/decisions", "/v1/models", "/version"),
}  # fmt: skip
# FastAPI's own, and the metrics' page, which is mounted.
ALWAYS = {
    "/docs": ["GET", "HEAD"], "/docs/oauth2-redirect": ["GET", "HEAD"], "/openapi.json": ["GET", "HEAD"],
    "/redoc": ["GET", "HEAD"], "/metrics": ["GET"],
}  # fmt: skip
NO_SERVER = ("entrypoints/api_server.py", "entrypoints/cli/", "run_batch.py", "dp_supervisor.py")
# What the package for SageMaker adds where a file asks it to.
SAGEMAKER = {"/adapters": ["POST"], "/adapters/{adapter_name}": ["DELETE"]}
NO_METRICS = ("benchmarks/", "orca_metrics.py", "metrics/reader.py", "ray_wrappers.py", "config/")
# What has to be in use for a family to be on the page, by the folder of its code; the first that fits.
FEATURES = (
    ("engine/metrics.py", "the V0 engine"),
    ("v1/spec_decode/", "speculative-config"),
    ("simple_kv_offload/", "kv-transfer-config"),
    ("kv_offload/", "kv-transfer-config"),
    ("kv_transfer/", "kv-transfer-config"),
    ("ec_transfer/", "ec-transfer-config"),
    ("parser/metrics.py", "tool-call-parser"),
    ("sleep/", "enable-sleep-mode"),
    ("entrypoints/rl/", "weight updates"),
    ("realtime/", "the realtime API"),
    ("metrics/perf.py", "enable-mfu-metrics"),
)  # fmt: skip
_COUNTED = re.compile(r'"vllm:|(Counter|Gauge|Histogram)Metadata\(')
HIDDEN = "show-hidden-metrics-for-version"
# The same by the condition that its code stands under; what is none of these is kept as it is written.
GUARDS = (
    ("show_hidden_metrics", HIDDEN),
    ("kv_cache_metrics", "kv-cache-metrics"),
    ("kv_transfer_config", "kv-transfer-config"),
    ("lora", "enable-lora"),
    ("NANS", "VLLM_COMPUTE_NANS_IN_LOGITS"),
    ("watermark", "watermark-config"),
)  # fmt: skip


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax; empty where there is none."""
    return ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])


def _assigned(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.value:
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value


def _texts(node: ast.AST) -> list[str]:
    return [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def _keys(node: ast.expr) -> list[str]:
    found = node.keys if isinstance(node, ast.Dict) else []
    return [key.value for key in found if isinstance(key, ast.Constant) and isinstance(key.value, str)]


def environment(root: Path) -> dict[str, dict[str, Any]]:
    """The variables that `vllm/envs.py` reads."""
    found = dict(_assigned(tree(root / "vllm/envs.py")))
    return {name: {} for name in _keys(found["environment_variables"])}


def architectures(root: Path) -> dict[str, dict[str, Any]]:
    """The registry's names of model classes, by what they are for."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in _assigned(tree(root / "vllm/model_executor/models/registry.py")):
        group = re.fullmatch(r"_([A-Z_]+)_MODELS", name)
        if group and group[1] not in ("VLLM", "PREVIOUSLY_SUPPORTED", "OOT_SUPPORTED", "SUBPROCESS_COMMAND"):
            for key in _keys(value):
                found.setdefault(key, {"for": group[1].lower().replace("_", " ")})
    return found


def previous(root: Path) -> dict[str, str]:
    """Architectures that the release knows to be gone, with the last release that had them."""
    found = dict(_assigned(tree(root / "vllm/model_executor/models/registry.py")))
    table = found.get("_PREVIOUSLY_SUPPORTED_MODELS")
    return ast.literal_eval(table) if table else {}


def parsers(root: Path, which: str) -> dict[str, dict[str, Any]]:
    """The names of parsers, `Tool` or `Reasoning`: of the lazy table, or of the classes' decorators."""
    found: set[str] = set()
    for path in (root / "vllm").rglob("*.py"):
        if which.lower() in str(path.parent) and "parser" in path.read_text(encoding="utf-8").lower():
            for name, value in _assigned(tree(path)):
                if name == f"_{which.upper()}_PARSERS_TO_REGISTER":
                    found.update(_keys(value))
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.ClassDef):
                    found.update(_decorated(node, f"{which}ParserManager"))
    return {name: {} for name in found}


def _decorated(node: ast.ClassDef, manager: str) -> Iterator[str]:
    for one in node.decorator_list:
        if isinstance(one, ast.Call) and ast.unparse(one.func) == f"{manager}.register_module":
            yield from _texts(one)


def routes(root: Path) -> dict[str, dict[str, Any]]:
    """Every route by path: its methods, and whom it is for."""
    methods: dict[str, set[str]] = {path: set(given) for path, given in ALWAYS.items()}
    for path in (root / "vllm/entrypoints").rglob("*.py"):
        if not any(part in path.as_posix() for part in NO_SERVER):
            if "register_load_adapter_handler" in path.read_text(encoding="utf-8"):
                methods |= {route: set(given) for route, given in SAGEMAKER.items()}
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    for route, verb in _route(node, node.func):
                        methods.setdefault(route, set()).add(verb)
    return {
        path: {"for": "inference" if path in INFERENCE else "admin", "methods": sorted(methods[path])}
        for path in methods
    }


def _route(call: ast.Call, func: ast.Attribute) -> Iterator[tuple[str, str]]:
    first = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "path"), None)
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value.startswith("/")):
        return
    owner = ast.unparse(func.value)
    if func.attr in METHODS and (owner.endswith("router") or owner in ("app", "self.app")):
        yield first.value, func.attr.upper()
    elif func.attr in ("add_api_route", "api_route"):
        given = next((_texts(k.value) for k in call.keywords if k.arg == "methods"), None) or ["GET"]
        yield from ((first.value, verb) for verb in given)


def metrics(root: Path) -> dict[str, dict[str, Any]]:
    """Metric families: their type, and what has to be in use for them to be on the page, if anything."""
    files = (root / "vllm").rglob("*.py")
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in files
        if not any(part in path.as_posix() for part in NO_METRICS)
    }
    kinds = _kinds_by_constant([tree(path) for path, text in texts.items() if _COUNTED.search(text)])
    found: dict[str, dict[str, Any]] = {}
    for path in (path for path, text in texts.items() if '"vllm:' in text):
        folder = path.relative_to(root / "vllm").as_posix()
        here = next((feature for part, feature in FEATURES if part in folder), "")
        made = {_kind(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)} - {""}
        only = made.pop() if len(made) == 1 else ""
        for name, kind, guard in _families(tree(path), kinds):
            kind = kind or only
            family = f"{name}_total" if kind == "counter" and not name.endswith("_total") else name
            feature = guard if guard == HIDDEN else here or guard
            row = {"kind": kind} | ({"with": feature} if feature else {})
            if kind and (family not in found or "with" not in row):
                found[family] = row
    return found


def _kind(call: ast.Call) -> str:
    name = ast.unparse(call.func).rpartition(".")[2].lower()
    if "per_" in name or "labels" in name or "bucket" in name:
        return ""
    return next((kind for kind in ("gauge", "counter", "histogram") if kind in name), "")


def _kinds_by_constant(trees: list[ast.Module]) -> dict[str, str]:
    """Types by the name of the constant that holds the family's name: `X.READ_BYTES: Counter(…)`."""
    found: dict[str, str] = {}
    for node in (node for module in trees for node in ast.walk(module)):
        pairs: list[tuple[ast.expr | None, ast.expr]] = []
        if isinstance(node, ast.Dict):
            pairs = list(zip(node.keys, node.values, strict=True))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            pairs = [(node.targets[0].slice, node.value)]
        elif isinstance(node, ast.Call):
            named = [k.value for k in node.keywords if k.arg == "name"]
            pairs = [(one, node) for one in (*node.args[:1], *named)]
        for key, value in pairs:
            if isinstance(value, ast.Call) and isinstance(key, ast.Attribute | ast.Name) and _kind(value):
                found.setdefault(key.attr if isinstance(key, ast.Attribute) else key.id, _kind(value))
    return found


def _families(module: ast.Module, kinds: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Each name with its type and the condition around it."""

    def visit(node: ast.AST, kind: str, guard: str) -> Iterator[tuple[str, str, str]]:
        if isinstance(node, ast.Call):
            kind = _kind(node) or kind
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name = target.id if isinstance(target, ast.Name) else ""
            kind = kinds.get(name, "gauge" if name == "name" else kind)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"vllm:[a-z0-9_]*[a-z0-9]", node.value):
                yield node.value, kind, guard
            return
        for key, child in ast.iter_fields(node):
            inner = _guard(node.test) if isinstance(node, ast.If) and key == "body" else ""
            for one in child if isinstance(child, list) else [child]:
                if isinstance(one, ast.AST):
                    yield from visit(one, kind, inner or guard)

    yield from visit(module, "", "")


def _guard(test: ast.expr) -> str:
    text = ast.unparse(test)
    if text.startswith(("type ==", "name ", "isinstance", "not ", "self.use_")):
        return ""
    return next((word for part, word in GUARDS if part in text), text)


def quantizations(root: Path) -> dict[str, dict[str, Any]]:
    """Methods with the compute capability that they need (75 is 7.5) and their dtypes, where both stand there
    plainly; `{}` where not."""
    folder = root / "vllm/model_executor/layers/quantization"
    classes = {
        node.name: node
        for path in folder.rglob("*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    }
    found = dict(_assigned(tree(folder / "__init__.py")))
    methods = found.get("QuantizationMethods") or found["QUANTIZATION_METHODS"]
    table = found.get("method_to_config")
    pairs = zip(_keys(table), table.values, strict=True) if isinstance(table, ast.Dict) else ()
    named = {key: ast.unparse(value) for key, value in pairs}
    return {name: _method(classes, named.get(name, "")) for name in _texts(methods)}


def _method(classes: dict[str, ast.ClassDef], name: str) -> dict[str, Any]:
    capability = _returned(classes, name, "get_min_capability")
    dtypes = _returned(classes, name, "get_supported_act_dtypes")
    if not isinstance(capability, ast.Constant | ast.UnaryOp) or not isinstance(dtypes, ast.List):
        return {}
    short = sorted(ast.unparse(one).rpartition(".")[2].replace("half", "float16") for one in dtypes.elts)
    return {"capability": ast.literal_eval(capability), "dtypes": short}


def _returned(classes: dict[str, ast.ClassDef], name: str, method: str) -> ast.expr | None:
    """What a class's method returns, its own or its base's, where it is one thing."""
    if (node := classes.get(name)) is None:
        return None
    own = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == method]
    if own:
        returns = [n.value for n in ast.walk(own[0]) if isinstance(n, ast.Return)]
        return returns[0] if len(returns) == 1 else None
    bases = (_returned(classes, ast.unparse(base), method) for base in node.bases)
    return next((value for value in bases if value is not None), None)


def not_in_float16(root: Path) -> dict[str, dict[str, Any]]:
    """Model types that are refused in float16."""
    for path in (root / "vllm/config.py", *sorted((root / "vllm/config").glob("*.py"))):
        found = dict(_assigned(tree(path)))
        if "_FLOAT16_NOT_SUPPORTED_MODELS" in found:
            return {name: {} for name in _keys_or_texts(found["_FLOAT16_NOT_SUPPORTED_MODELS"])}
    return {}


def _keys_or_texts(node: ast.expr) -> list[str]:
    return _keys(node) or _texts(node)


def everything(root: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """All kinds at once, each a table of names and rows."""
    return {
        "environment": environment(root),
        "routes": routes(root),
        "metrics": metrics(root),
        "architectures": architectures(root),
        "quantizations": quantizations(root),
        "not_in_float16": not_in_float16(root),
        "tool_parsers": parsers(root, "Tool"),
        "reasoning_parsers": parsers(root, "Reasoning"),
        "batches": batches(root),
    }


def batches(root: Path) -> dict[str, dict[str, Any]]:
    """The defaults of max-num-seqs and max-num-batched-tokens of a server, by the device that it finds.

    A name is the device's: `gpu`, `gpu of 70 GiB`, `cpu` (for each rank). `but` is a GPU to which a row does
    not apply.
    """
    found: dict[str, dict[str, Any]] = {}
    for node in ast.walk(tree(root / "vllm/engine/arg_utils.py")):
        if isinstance(node, ast.If) and "is_cpu()" in ast.unparse(node.test):
            found |= {"cpu": row} if (row := _defaults(node.body)) else {}
        while isinstance(node, ast.If) and "device_memory >=" in ast.unparse(node.test):
            text = ast.unparse(node.test)
            least, name = re.search(r">= (\d+)", text), re.search(r"'(\w+)' not in", text)
            assert least is not None
            row = _defaults(node.body) | ({"but": name[1]} if name else {})
            found.setdefault(f"gpu of {least[1]} GiB", row)
            if len(node.orelse) != 1 or not isinstance(node.orelse[0], ast.If):
                found.setdefault("gpu", _defaults(node.orelse))
                break
            node = node.orelse[0]
    return found


def _defaults(body: list[ast.stmt]) -> dict[str, Any]:
    """The values of a branch: what stands for a server, or the one that stands for all."""
    found: dict[str, Any] = {}
    for node in (node for one in body for node in ast.walk(one) if isinstance(node, ast.Assign)):
        name, value = ast.unparse(node.targets[0]), node.value
        if isinstance(value, ast.Dict):
            keys = [ast.unparse(key).rpartition(".")[2] for key in value.keys if key]
            value = dict(zip(keys, value.values, strict=True)).get("OPENAI_API_SERVER", value)
        numbers = [n.value for n in ast.walk(value) if isinstance(n, ast.Constant)]
        if name in ("default_max_num_batched_tokens", "default_max_num_seqs") and numbers:
            found[name.removeprefix("default_").replace("_", "-")] = numbers[0]
    return found
