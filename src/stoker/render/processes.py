"""The processes of a machine: engines, the gateway in front of them, the web page beside it."""

import json
import sys
from dataclasses import asdict, replace
from typing import Any

from stoker import __version__
from stoker.catalog import vllm
from stoker.fleet.process import WITHHELD, Process
from stoker.planner.group import Group
from stoker.planner.plan import Plan, Share
from stoker.render.command import GUARD, command, simulated_words
from stoker.spec import addresses

# The names that a loopback endpoint answers to; any other Host header is a page that was rebound to us.
WAKE_SECONDS = 600.0
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


def processes(plan: Plan, folder: str) -> tuple[Process, ...]:
    """Everything that the supervisor keeps for this plan. `folder` is the fleet's own."""
    found = [_engine(plan, share, folder) for share in plan.shares]
    if plan.group is None or plan.group.leads:  # the endpoint is on node 0
        page = [_page(plan, folder)] if plan.spec.endpoint.page else []
        scaler = [_autoscaler(plan)] if plan.spec.scales and plan.group is None else []
        found = [_gateway(plan, folder), *found, *page, *scaler]
    return tuple(_without_secrets(process, plan) for process in found)


def _without_secrets(process: Process, plan: Plan) -> Process:
    """A process is given the keys that it needs in files: not the variables of the shell that hold them."""
    named = [
        one.where for one in (plan.spec.endpoint.api_key, plan.spec.model.token) if one and one.kind == "env"
    ]
    return replace(process, env={**process.env, WITHHELD: " ".join(named)}) if named else process


def _engine(plan: Plan, share: Share, folder: str) -> Process:
    full = command(plan, share)
    simulated = plan.spec.engine.kind == "simulated"
    start = (sys.executable, "-m", "stoker.targets.simulated") if simulated else _vllm()
    argv = start + full.argv[2:]
    if not simulated and (plan.group is None or plan.group.leads):
        argv += GUARD
    if simulated:
        argv += simulated_words(plan)
    ray = plan.options.get("distributed-executor-backend") == "ray"  # which keeps its ranks itself
    if plan.gpus_per_replica > 1 and not simulated and not ray:
        argv = (
            sys.executable,
            "-m",
            "stoker.targets.local.group",
            _agent(plan, share, folder),
            "--",
            *argv,
        )
    return Process(
        role="engine",
        name=share.name,
        argv=argv,
        env=full.env,
        key_env={"VLLM_API_KEY": f"{folder}/engine.key"},
        routed=True,
        surge=not share.gpus and plan.group is None,
        ranks=plan.tensor_parallel_size * plan.pipeline_parallel_size,
        hardware=str(share),
        stall=float(plan.spec.stall_timeout),
    )


def _agent(plan: Plan, share: Share, folder: str) -> str:
    """What the agent beside a replica of several ranks is told; the port is filled in at each start."""
    group = plan.group or Group(1, 0, "127.0.0.1")
    settings = {
        "group": asdict(group),
        "tensor": plan.tensor_parallel_size,
        "port": "{port}",
        "facts": facts(plan),
        "ranks_file": f"{folder}/engine-{share.name}.ranks.json",
    }
    return json.dumps(settings, sort_keys=True)


def facts(plan: Plan) -> dict[str, Any]:
    """What all nodes of a replica must have in common."""
    shape = plan.shape
    return {
        "stoker": __version__,
        "vLLM": plan.spec.engine.version,
        "model": str(plan.spec.model.source),
        "served name": plan.spec.model.served_name,
        "architecture": f"{shape.architecture}, {shape.layers} layers, {shape.parameters:,} parameters"
        if shape
        else "",
        "nodes": plan.nodes,
        **{f"engine.{name}": str(value) for name, value in sorted(plan.options.items())},
    }


def _vllm() -> tuple[str, ...]:
    """vLLM's own command in this environment, so that a process listing reads as users know it."""
    return (sys.executable, f"{sys.executable.rpartition('/')[0]}/vllm", "serve")


def _gateway(plan: Plan, folder: str) -> Process:
    endpoint = plan.spec.endpoint
    argv = (sys.executable, "-m", "stoker.targets.gateway")
    # its settings, so that a changed endpoint replaces the process, and each life keeps its own
    env = {"STOKER_GATEWAY": json.dumps(gateway_settings(plan, folder), sort_keys=True)}
    return Process("gateway", "gateway", argv, env, port=endpoint.port, host=endpoint.host, surge=False)


def _autoscaler(plan: Plan) -> Process:
    argv = (sys.executable, "-m", "stoker.operate.autoscaler", plan.spec.name)
    return Process("autoscaler", "autoscaler", argv, health="", surge=False)


def _queue_timeout(plan: Plan) -> float:
    """Seconds that a request may wait for a replica: of a fleet that goes to 0, as long as one may take to
    start."""
    asked = float(plan.spec.endpoint.queue_timeout)
    return max(asked, WAKE_SECONDS) if plan.spec.scales and not plan.spec.replicas.low else asked


def gateway_settings(plan: Plan, folder: str) -> dict[str, Any]:
    """The gateway's settings, as it reads them."""
    endpoint = plan.spec.endpoint
    return {
        "host": endpoint.host,
        "port": endpoint.port,
        "queue_timeout": _queue_timeout(plan),
        "max_body": int(endpoint.max_body),
        "cors": list(endpoint.cors),
        "hosts": _names(endpoint.host) if endpoint.loopback else [],
        "inference_routes": sorted(vllm.release(plan.spec.engine.version).inference_routes),
        "key_file": f"{folder}/endpoint.key" if endpoint.api_key else None,
        "engine_key_file": f"{folder}/engine.key",
        "routes_file": f"{folder}/routes.json",
        "seen_file": f"{folder}/gateway.seen.json",
        "model": plan.spec.model.served_name,
        "drain": float(plan.spec.drain_timeout),
    }


def _names(hosts: str) -> list[str]:
    own = [addresses.bracketed(host) for host in addresses.split(hosts)]
    return [*LOOPBACK_NAMES, *(name for name in own if name not in LOOPBACK_NAMES)]


def page_port(plan: Plan) -> int:
    """The web page's port: as asked, or the one after the endpoint's."""
    return plan.spec.endpoint.page_port or plan.spec.endpoint.port + 1


def _page(plan: Plan, folder: str) -> Process:
    endpoint = plan.spec.endpoint
    argv = [sys.executable, "-m", "stoker.ui.console", "--endpoint", endpoint_url(plan)]
    argv += ["--model", plan.spec.model.served_name, "--host", "127.0.0.1", "--port", str(page_port(plan))]
    argv += ["--fleet", plan.spec.name]
    if endpoint.api_key:
        argv += ["--key-file", f"{folder}/endpoint.key"]
    return Process("page", "page", tuple(argv), port=page_port(plan), surge=False)


def endpoint_url(plan: Plan) -> str:
    """The base URL that a client on this machine uses."""
    return addresses.url(plan.spec.endpoint.host, plan.spec.endpoint.port)
