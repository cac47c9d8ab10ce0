"""The plan for one machine: the replicas' shares of cores or GPUs, and the engine options that are fastest here."""

from collections.abc import Mapping
from typing import Any

from stoker.errors import DoesNotFit, Mistake
from stoker.model.shape import ModelShape
from stoker.planner.plan import Adapter, Hardware, Plan, Share
from stoker.spec.nouns import ServeSpec
from stoker.units import Bytes, Tokens

GIB = 1024**3
# Resident memory of vLLM 0.32's three CPU processes beside weights and KV cache: measured 1.9 to 2.4 GiB.
ENGINE_OVERHEAD = Bytes(int(2.4 * GIB))
KV_MOST = Bytes(4 * GIB)
KV_LEAST = Bytes(GIB)
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what `--max-lora-rank` of vLLM 0.32 takes
BLOCK = 128  # tokens of a KV block on the CPU back-end


def plan_local(
    spec: ServeSpec,
    shape: ModelShape | None,
    offer: Hardware,
    model_dir: str,
    *,
    replicas: int | None = None,
    rebind: bool = True,
    before: tuple[Share, ...] = (),
    adapters: Mapping[str, Adapter] | None = None,
) -> Plan:
    """Decides for this machine. `before` are the shares of a running fleet, kept where `rebind` is off.

    Raises: DoesNotFit, where memory or GPUs do not suffice; Mistake, for options that contradict the model.
    """
    count = spec.replicas.low if replicas is None else replicas
    if spec.engine.kind == "simulated":
        return _simulated(spec, shape, offer, model_dir, count)
    assert shape is not None
    _check_model(spec, shape)
    if offer.gpus:
        return _on_gpus(spec, shape, offer, model_dir, count, adapters or {})
    return _on_cpu(spec, shape, offer, model_dir, count, rebind, before, adapters or {})


def _simulated(
    spec: ServeSpec, shape: ModelShape | None, offer: Hardware, model_dir: str, count: int
) -> Plan:
    shares = tuple(Share(str(n + 1)) for n in range(count))
    why = ("simulated engines: timings are set, nothing is computed",)
    return Plan(
        spec, shape, offer, model_dir, shares, dict(spec.engine.options), dict(spec.engine.env), reasons=why
    )


def _check_model(spec: ServeSpec, shape: ModelShape) -> None:
    asked = spec.engine.options.get("max-model-len")
    if asked is not None and str(asked).lower() not in ("auto", "-1") and Tokens.parse(asked) > shape.max_len:
        raise Mistake(
            f"max-model-len {asked} is above the model's {shape.max_len}",
            at=_at(spec, "engine.max-model-len"), why="the model was not made for longer texts",
            fix=f"max-model-len: {shape.max_len}, or less",
        )  # fmt: skip
    parallel = int(spec.engine.options.get("tensor-parallel-size", spec.hardware.count or 1))
    if shape.heads % parallel:
        fits = [str(n) for n in range(1, shape.heads + 1) if shape.heads % n == 0]
        raise Mistake(
            f"tensor-parallel-size {parallel} does not divide the model's {shape.heads} attention heads",
            at=_at(spec, "engine.tensor-parallel-size") or _at(spec, "hardware"), why="each rank takes as many heads",
            fix=f"one of {', '.join(fits)}", rule="tensor-parallel-heads",
        )  # fmt: skip


def _warnings(spec: ServeSpec, shape: ModelShape, offer: Hardware) -> tuple[str, ...]:
    out = []
    asked = spec.hardware
    if (
        asked.gpu
        and asked.gpu != "cpu"
        and not any(asked.gpu.split("-")[0] in g.name.lower() for g in offer.gpus)
    ):
        out.append(f"the file asks for {asked}; this machine has {offer}, and that is used here")
    if not shape.has_chat_template and "chat-template" not in spec.engine.options:
        out.append(
            "the model has no chat template: chat falls back to completions; `chat-template` under engine takes a file"
        )
    return tuple(out)


def _on_cpu(
    spec: ServeSpec,
    shape: ModelShape,
    offer: Hardware,
    model_dir: str,
    count: int,
    rebind: bool,
    before: tuple[Share, ...],
    adapters: Mapping[str, Adapter],
) -> Plan:
    parallel = int(spec.engine.options.get("tensor-parallel-size", 1))
    shares, reasons = _split(offer.cores, count, rebind, before)
    dtype, why = _dtype(offer)
    options: dict[str, Any] = {"dtype": dtype, "enforce-eager": True}
    element = 4 if spec.engine.options.get("dtype", dtype) in ("float32", "float") else 2
    memory = _cpu_memory(spec, shape, offer, max(1, count), element)
    options["kv-cache-memory-bytes"] = int(dict(memory)["KV cache"])
    options["max-model-len"] = _length(spec, shape, dict(memory)["KV cache"], element)
    chosen = {"dtype": why, "enforce-eager": "enforce-eager: compiling for a CPU takes minutes at each start"}
    reasons += tuple(reason for name, reason in chosen.items() if name not in spec.engine.options)
    options |= _lora(adapters)
    env = _engine_env()
    if offer.preload:
        env["LD_PRELOAD"] = ":".join(offer.preload)
    strategy = "tensor-parallel" if parallel > 1 else "single-gpu"
    return Plan(
        spec, shape, offer, model_dir, shares, options | dict(spec.engine.options), env | dict(spec.engine.env),
        memory, strategy, parallel, adapters=adapters, reasons=reasons, warnings=_warnings(spec, shape, offer),
    )  # fmt: skip


def _engine_env() -> dict[str, str]:
    return {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def _lora(adapters: Mapping[str, Adapter]) -> dict[str, Any]:
    """Room for every adapter in one batch, at the smallest rank that vLLM takes and all of them fit in."""
    if not adapters:
        return {}
    rank = max(adapter.rank for adapter in adapters.values())
    fits = [choice for choice in LORA_RANKS if choice >= rank]
    if not fits:
        name = next(name for name, adapter in adapters.items() if adapter.rank == rank)
        raise Mistake(
            f"the adapter {name!r} has rank {rank}", why=f"vLLM takes {LORA_RANKS[-1]} at most",
            fix="merge it into the model's weights", rule="lora-rank",
        )  # fmt: skip
    return {"enable-lora": True, "max-loras": len(adapters), "max-lora-rank": fits[0]}


def _split(
    cores: tuple[int, ...], count: int, rebind: bool, before: tuple[Share, ...]
) -> tuple[tuple[Share, ...], tuple[str, ...]]:
    """Each replica's cores. Where there are more replicas than cores, all are shared."""
    names = [str(n + 1) for n in range(count)]
    if before and not rebind:
        kept = {share.name: share for share in before}
        shares = tuple(kept.get(name) or Share(name, cores, shared=True) for name in names)
        return shares, ("cores are shared: running replicas keep theirs (--no-rebind)",)
    if count > len(cores):
        return tuple(Share(name, cores, shared=True) for name in names), (
            f"{count} replicas share {len(cores)} cores: there are more replicas than cores",
        )
    each, more = divmod(len(cores), max(1, count))
    out, at = [], 0
    for index, name in enumerate(names):
        size = each + (index < more)
        out.append(Share(name, cores[at : at + size]))
        at += size
    why = f"{len(cores)} cores, {each}{f' or {each + 1}' if more else ''} a replica, threads bound to them"
    return tuple(out), (why,)


def _dtype(offer: Hardware) -> tuple[str, str]:
    for flag, name in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16")):
        if flag in offer.features:
            return "bfloat16", f"bfloat16: this CPU multiplies it in hardware ({name})"
    return "float32", "float32: faster than bfloat16 on a CPU without AVX512-BF16 or AMX"


def _cpu_memory(
    spec: ServeSpec, shape: ModelShape, offer: Hardware, count: int, element: int
) -> tuple[tuple[str, Bytes], ...]:
    weights = Bytes(shape.parameters * element) if shape.parameters else shape.weight_bytes
    fixed = weights + ENGINE_OVERHEAD
    room = offer.memory // count - fixed
    kv = spec.memory or _given_kv(spec) or Bytes(max(KV_LEAST, min(KV_MOST, room // 4)))
    if fixed + kv > offer.memory // count:
        need, have = Bytes((fixed + kv) * count), offer.memory
        raise DoesNotFit(
            f"{spec.model.served_name} does not fit: {count} replica{'s' * (count > 1)} need {need}",
            why=f"each: weights {weights}, KV cache {kv}, engine {ENGINE_OVERHEAD}; this machine has {have}",
            fix="fewer replicas, a smaller model" + (", or less `memory`" if kv > KV_LEAST else ""),
            at=_at(spec, "replicas"), rule="fit-memory",
        )  # fmt: skip
    return (("weights", weights), ("KV cache", kv), ("engine", ENGINE_OVERHEAD))


def _given_kv(spec: ServeSpec) -> Bytes | None:
    given = spec.engine.options.get("kv-cache-memory-bytes")
    return None if given is None else Bytes(int(Tokens.parse(given)))


def _length(spec: ServeSpec, shape: ModelShape, kv: Bytes, element: int) -> int:
    """The model's own length, or what the KV cache holds in whole blocks where that is less."""
    if (asked := spec.engine.options.get("max-model-len")) is not None and str(asked).lower() not in (
        "auto",
        "-1",
    ):
        return int(Tokens.parse(asked))
    held = int(kv // (shape.kv_bytes_per_token(element) * BLOCK)) * BLOCK
    return max(1, min(shape.max_len, held))


def _on_gpus(
    spec: ServeSpec,
    shape: ModelShape,
    offer: Hardware,
    model_dir: str,
    count: int,
    adapters: Mapping[str, Adapter],
) -> Plan:
    each = int(spec.engine.options.get("tensor-parallel-size", spec.hardware.count or 1))
    if each * count > len(offer.gpus):
        raise DoesNotFit(
            f"{count} replica{'s' * (count > 1)} of {each} GPU{'s' * (each > 1)} need {each * count}",
            why=f"this machine has {offer}", fix=f"replicas: {max(0, len(offer.gpus) // each)}, or fewer GPUs a replica",
            at=_at(spec, "replicas"), rule="fit-gpus",
        )  # fmt: skip
    shares = tuple(
        Share(str(n + 1), gpus=tuple(g.index for g in offer.gpus[n * each : (n + 1) * each]))
        for n in range(count)
    )
    options = ({"tensor-parallel-size": each} if each > 1 else {}) | _lora(adapters)
    env = _engine_env() | dict(spec.engine.env)
    return Plan(
        spec, shape, offer, model_dir, shares, options | dict(spec.engine.options), env,
        strategy="tensor-parallel" if each > 1 else "single-gpu", tensor_parallel_size=each, adapters=adapters,
        reasons=(f"{each} GPU{'s' * (each > 1)} a replica, on {offer}",), warnings=_warnings(spec, shape, offer),
    )  # fmt: skip


def _at(spec: ServeSpec, path: str) -> str:
    place = spec.origin.get(path)
    return str(place) if place else ""
