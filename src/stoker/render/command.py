"""The one place that writes `vllm serve`."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stoker.catalog import changes, vllm
from stoker.errors import UsageError
from stoker.planner.plan import Plan, Share
from stoker.spec.places import any_of


@dataclass(frozen=True, slots=True)
class Command:
    """An argv, its environment, and references to secrets by the variable that carries them."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """As a person would type it in a shell."""
        env = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.env.items())
        return f"{env + ' ' if env else ''}{shlex.join(self.argv)}"


def command(plan: Plan, share: Share, port: str = "{port}") -> Command:
    """The engine's command line for one replica of the plan."""
    check_nodes(plan)
    names = [plan.spec.model.served_name]
    argv = [
        "vllm",
        "serve",
        plan.model_dir,
        *_place(plan, port),
        "--served-model-name",
        *names,
    ]
    leads = plan.group is None or plan.group.leads
    argv += option_words(plan, {**(quiet(plan) if leads else {}), **plan.options})
    if plan.adapters:
        argv += ["--lora-modules", *(f"{name}={adapter.folder}" for name, adapter in plan.adapters.items())]
    return Command(tuple(argv), traced(plan) | dict(plan.env) | _binding(plan, share))


ACCESS = "disable-access-log-for-endpoints"


def check_nodes(plan: Plan) -> None:
    """Raises: UsageError, for a replica over several nodes where the release cannot serve it without Ray."""
    several = plan.nodes > 1 or plan.group is not None
    for gone in changes.missing("option", ["nnodes"], plan.spec.engine.version) if several else ():
        raise UsageError(
            f"vLLM {plan.spec.engine.version} serves no replica on several nodes as Stoker starts them",
            at=any_of("engine.version", "strategy", "hardware"),
            why=gone.why(plan.spec.engine.version),
            fix=f"engine.version: {gone.since}, or a newer one; or a replica on one node",
            rule="nodes-release",
        )


def quiet(plan: Plan) -> dict[str, str]:
    """Leaves what is only asked to look, once a second and more, out of the log, where the release can and
    nobody chose."""
    given = {ACCESS, "disable-uvicorn-access-log"} & plan.options.keys()
    there = not changes.missing("option", [ACCESS], plan.spec.engine.version)
    return {ACCESS: "/health,/metrics,/metrics/"} if there and not given else {}


GUARD = ("--middleware", "stoker.guard.Guard")  # of an engine here; in a pod it is a script
TRACES = "otlp-traces-endpoint"


def traced(plan: Plan) -> dict[str, str]:
    """What names this fleet's spans, where traces are asked for; every rank gets option and name alike."""
    return {"OTEL_SERVICE_NAME": plan.spec.name} if plan.options.get(TRACES) else {}


def traces_ports(plan: Plan) -> tuple[int, ...]:
    """The ports at which the collector of traces may be asked; none where none is named.

    Without a port gRPC goes to 443, whatever the scheme says, and HTTP to the scheme's own.
    """
    address = str(plan.options.get(TRACES) or "")
    if not address:
        return ()
    port = address.rpartition("://")[2].partition("/")[0].rpartition(":")[2]
    if port.isdigit():
        return (int(port),)
    return (80, 443) if address.startswith("http://") else (443,)


def _place(plan: Plan, port: str) -> list[str]:
    """Where it listens, and which node of a group it is; only node 0 has an API."""
    group = plan.group
    api = ["--host", "127.0.0.1", "--port", port]
    if group is None:
        return api
    node = ["--nnodes", str(group.nodes), "--node-rank", str(group.rank), "--master-addr", group.master]
    node += ["--master-port", "{master_port}"]
    return [*api, *node] if group.leads else [*node, "--headless"]


def pod_words(
    plan: Plan,
    model: str,
    port: int,
    *,
    role: str = "alone",
    more: Mapping[str, Any] | None = None,
    adapters: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """The engine's command line in a pod. A `leader` and its `worker`s find each other by their set's
    environment.

    more: options that the pod adds, where the plan has none of that name. adapters: LoRA adapters and where
    they are.
    """
    check_nodes(plan)
    added = {**({} if role == "worker" else quiet(plan)), **(more or {})}
    options = {name: value for name, value in {**added, **plan.options}.items() if name != "nnodes"}
    argv = ["vllm", "serve", model]
    argv += ["--headless"] if role == "worker" else ["--host", "0.0.0.0", "--port", str(port)]
    argv += ["--served-model-name", plan.spec.model.served_name, *option_words(plan, options)]
    if adapters:
        argv += ["--lora-modules", *(f"{name}={place}" for name, place in adapters.items())]
    if role != "alone":
        argv += ["--nnodes", "$(LWS_GROUP_SIZE)", "--node-rank", "$(LWS_WORKER_INDEX)"]
        argv += ["--master-addr", "$(LWS_LEADER_ADDRESS)"]
    return tuple(argv)


def option_words(plan: Plan, options: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """vLLM's options, the plan's unless others are given, as words of a command line."""
    release = vllm.nearest_release(plan.spec.engine.version)
    words: list[str] = []
    for name, value in (plan.options if options is None else options).items():
        option = release.option(name)
        assert option is not None, name
        words += option.argv(value)
    return tuple(words)


def _binding(plan: Plan, share: Share) -> dict[str, str]:
    if share.gpus:
        return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, share.gpus))}
    if not share.cores or plan.spec.engine.kind == "simulated":
        return {}
    return {"VLLM_CPU_OMP_THREADS_BIND": _ranks(share.cores, plan.gpus_per_replica // plan.nodes)}


def _ranks(cores: tuple[int, ...], ranks: int) -> str:
    """`0,1|2,3`: each rank's cores; where there are fewer cores than ranks they take turns."""
    if ranks == 1:
        return ",".join(map(str, cores))
    each = max(1, len(cores) // ranks)
    parts = [cores[(r * each) % len(cores) :][:each] for r in range(ranks)]
    return "|".join(",".join(map(str, part)) for part in parts)


def simulated_words(plan: Plan) -> tuple[str, ...]:
    """What a simulated engine is told beside vLLM's own options."""
    told = dict(plan.spec.engine.simulate)
    return ("--simulate", json.dumps(told, sort_keys=True)) if told else ()


def shown(plan: Plan) -> str:
    """The plain command line that the plan's first replica runs: `vllm serve …`, or the simulated engine's
    own."""
    share = plan.shares[0] if plan.shares else Share("1")
    full = command(plan, share, "PORT")
    argv = tuple(word.replace("{master_port}", "PORT") for word in full.argv)
    if plan.spec.engine.kind == "simulated":
        argv = ("python", "-m", "stoker.targets.simulated", *argv[2:], *simulated_words(plan))
    return str(Command(argv))
