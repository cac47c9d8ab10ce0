"""A plan in words: what was chosen, why, what it holds and costs. Pure text; who prints it decides on
color."""

from stoker.planner.memory import RankMemory
from stoker.planner.plan import Plan
from stoker.planner.reality import in_words
from stoker.planner.requested import OPENLY
from stoker.planner.startup import startup, words

GIB = 1024**3
WIDTH = 40  # characters of the memory bar
_SHORT = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32"}


def explain(plan: Plan, runs: str = "") -> str:
    """The plan as a table. `runs` is the command line, where one is rendered."""
    unsure = _unsure(plan)
    rows = [
        *(("unsure", one) for one in unsure),
        ("strategy", _strategy(plan)),
        *(("why", reason) for reason in plan.reasons),
    ]
    if plan.shares:
        moved = f" of {_replicas(plan)}" if plan.spec.scales else ""
        shares = f"{plan.replicas}{moved}: " + "; ".join(map(str, plan.shares))
        rows.insert(1 + len(unsure), ("replicas", shares))
    if plan.memory is not None:
        rows += [("per GPU" if _on_gpus(plan) else "memory", bar(plan.memory)), ("holds", _holds(plan))]
    if plan.measured is not None:
        rows.append(("measured", in_words(plan.measured)))
    if phases := startup(plan):
        rows.append(("start-up", words(phases)))
    if not plan.shares:
        rows.append(("replicas", _replicas(plan)))
        rows.append(("cost", _cost(plan)))
    rows += [("runs", runs)] if runs else []
    rows += [("with", f"{name}={value}") for name, value in plan.env.items()]
    rows += [("note", warning) for warning in plan.warnings if warning not in unsure]
    return "\n".join([_title(plan), *_table(rows)])


def _unsure(plan: Plan) -> tuple[str, ...]:
    """What is said before anything else: that the model's figures are an estimate."""
    return tuple(warning for warning in plan.warnings if warning.endswith(OPENLY))


def _on_gpus(plan: Plan) -> bool:
    return plan.hardware.gpu_type is not None or bool(plan.hardware.gpus)


def _table(rows: list[tuple[str, str]]) -> list[str]:
    lines, last = [], ""
    for label, value in rows:
        lines.append(f"  {label if label != last else '':<10} {value}")
        last = label
    return lines


def _title(plan: Plan) -> str:
    model = plan.spec.model.served_name
    if plan.shape is not None:
        held = plan.fit.settings if plan.fit else None
        how = (
            held.quantization.method
            if held and held.quantization
            else held.dtype
            if held
            else plan.shape.dtype
        )
        model += f" ({_billions(plan.shape.parameters)}, {_SHORT.get(how, how)})"
    on = str(plan.hardware)
    if plan.hardware.gpu_type is not None:
        on = f"{plan.gpus_per_replica} x {on}"
    return f"{plan.spec.name}   {model} on {on}, vLLM {plan.spec.engine.version}"


def _billions(count: int) -> str:
    return f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count / 1e6:.0f} M"


def _strategy(plan: Plan) -> str:
    machine = f" ({plan.hardware.machine})" if plan.hardware.machine else ""
    if plan.gpus_per_replica == 1:
        return f"single GPU{machine}" if _on_gpus(plan) else "one process, no parallel ranks"
    parts = [f"tensor parallel {plan.tensor_parallel_size}"] * (plan.tensor_parallel_size > 1)
    parts += [f"pipeline parallel {plan.pipeline_parallel_size}"] * (plan.pipeline_parallel_size > 1)
    where = "on one node" if plan.nodes == 1 else f"over {plan.nodes} nodes"
    return f"{', '.join(parts)} {where}{machine}"


def bar(memory: RankMemory) -> str:
    """One rank's memory as a bar, in GiB. What nothing is planned for is free."""
    other = sum(item.size for item in memory.items) - memory.size("weights")
    free = memory.usable - memory.size("weights") - other - memory.kv_cache
    parts = [
        ("weights", memory.size("weights"), "#"),
        ("other", other, "#"),
        ("KV cache", memory.kv_cache, "#"),
    ]
    parts += [("free", free, ".")] if free > memory.usable // 100 else []
    drawn = [
        f"{name} {size / GIB:.1f} {mark * min(WIDTH, max(1, round(WIDTH * size / max(1, memory.usable))))}"
        for name, size, mark in parts
        if size > 0
    ]
    share = 100 * memory.band / max(1, memory.kv_cache)
    sure = f", KV cache +-{share:.0f} %" if memory.band else ""
    return f"{'  '.join(drawn)}   {memory.usable.gib:.1f} GiB usable{sure}"


def _holds(plan: Plan) -> str:
    assert plan.fit is not None
    length, held = plan.fit.settings.max_model_len, plan.fit.held
    told = f"{held.tokens:,} tokens: {held.concurrency:.1f} requests of {length:,} at once"
    return f"not known; by the estimate {told}" if _unsure(plan) else told


def _replicas(plan: Plan) -> str:
    count = plan.spec.replicas
    text = str(count.low) if count.fixed else f"{count.low}..{count.high}"
    if plan.spec.scaling:
        text += " on " + ", ".join(f"{name} {value:g}" for name, value in plan.spec.scaling.metrics.items())
    return text


def _cost(plan: Plan) -> str:
    """Dollars an hour, for the least and the most replicas; `unknown` where no page at hand states a
    price."""
    machine, each = plan.hardware.machine, plan.cost_per_hour
    if each is None:
        return (
            "unknown: no page at hand states the price"
            + (f" of {machine}" if machine else "")
            + "; `price` under hardware sets it"
        )
    low, high = plan.spec.replicas.low * each, plan.spec.replicas.high * each
    text = f"${low:,.2f} an hour" if low == high else f"${low:,.2f} to ${high:,.2f} an hour"
    if plan.spec.hardware.price is not None:
        return f"{text} (your price a GPU)"
    dated = f", {machine.price_date}" if machine and machine.price_date else ""
    return f"{text} (on demand{dated})"
