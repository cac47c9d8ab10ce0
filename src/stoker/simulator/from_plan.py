"""A plan as a scenario: the same spec that deploys, with what a cluster or this machine adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stoker.autoscale.from_spec import controller_of, policy_of
from stoker.autoscale.policy import Controller
from stoker.engine.profile import EngineProfile
from stoker.engine.scheduler import SchedulerLimits
from stoker.errors import UsageError
from stoker.fleet.state import Phase
from stoker.planner.plan import Plan
from stoker.planner.settings import Settings
from stoker.planner.startup import StartPhase, startup
from stoker.simulator.scenario import Keda, NodePool, Routing, Scenario, Starting, Watching
from stoker.spec.nouns import ServeSpec
from stoker.traffic.objectives import LatencyObjectives
from stoker.traffic.workload import Workload

PHASES: Mapping[str, Phase] = {
    "image": "Pulling",
    "weights": "Pulling",
    "start": "Starting",
    "load": "Loading",
    "warm-up": "Warming",
}
AGAIN = ("start", "load", "warm-up")
ROUTES: Mapping[str, Routing] = {"service": "random", "gateway": "in-flight", "gateway-api": "queue"}
LOCAL = Watching(1.0, 0.0)
# How old a figure is when the autoscaler has it, by who serves it. A scrape is half a period old on average.
# Cloud Monitoring: nobody at hand states a figure; a minute is assumed, `--metric-delay` changes it.
SERVED = {"prometheus": Watching(15.0, 0.0), "stackdriver": Watching(15.0, 60.0), "none": Watching(15.0, 0.0)}
NATIVE = Watching(10.0, 0.0)
SIMULATED_BLOCKS = 4096
IN_CLUSTER = Controller()


def scenario_of(plan: Plan, profile: EngineProfile, workload: Workload) -> Scenario:
    """The scenario of a plan under such traffic. Raises: UsageError, where the engine's size is not known."""
    spec = plan.spec
    cluster = spec.target == "kubernetes"
    phases = startup(plan)
    scaling = spec.scaling if spec.scales else None
    return Scenario(
        limits_of(plan),
        profile,
        workload,
        spec.replicas,
        policy_of(scaling, spec.replicas) if scaling else None,
        (IN_CLUSTER if cluster else controller_of(scaling)) if scaling else Controller(),
        watching_of(spec),
        _keda(spec),
        starting_of(phases),
        _pool(plan, phases),
        routing=ROUTES[spec.kubernetes.routing] if cluster else "in-flight",
        queue_timeout=float(spec.endpoint.queue_timeout) if _held(spec) else 0.0,
        drain=float(spec.drain_timeout),
        objectives=LatencyObjectives(
            None if spec.slo.ttft is None else float(spec.slo.ttft),
            None if spec.slo.itl is None else float(spec.slo.itl),
        ),
        together=not cluster and not plan.hardware.gpus,
        name=spec.name,
        model=spec.model.served_name,
    )


def _held(spec: ServeSpec) -> bool:
    """Whether a gateway of Stoker's holds requests while nothing is ready."""
    return spec.target != "kubernetes" or spec.kubernetes.routing == "gateway"


def limits_of(plan: Plan) -> SchedulerLimits:
    """What the scheduler of one replica is told. Raises: UsageError."""
    options, fit = plan.options, plan.fit
    if fit is None or not plan.kv_cache_blocks:
        if plan.spec.engine.kind != "simulated":
            raise UsageError(
                "the engine's KV cache is not sized",
                why="the plan does not compute this model's memory",
                fix="hardware: a GPU of the catalog, and a model whose config.json can be read",
                rule="simulate-size",
            )
        return _simulated(plan.spec, options)
    settings = fit.settings
    asked = options.get("async-scheduling")
    return SchedulerLimits(
        num_gpu_blocks=plan.kv_cache_blocks,
        max_model_len=settings.max_model_len,
        max_num_batched_tokens=max(settings.max_num_batched_tokens, settings.max_num_seqs),
        max_num_seqs=settings.max_num_seqs,
        block_size=settings.block_size,
        policy="priority" if options.get("scheduling-policy") == "priority" else "fcfs",
        enable_prefix_caching=_finds_prefixes(plan, settings),
        async_scheduling=not settings.cpu if asked is None else bool(asked),
        pipeline_parallel_size=settings.pipeline,
    )


def _finds_prefixes(plan: Plan, settings: Settings) -> bool:
    """Whether prompts' beginnings are found again: hybrids with states keep none in some releases."""
    states = plan.shape is not None and any(one.kind == "state" for one in plan.shape.caches)
    if states:
        return settings.policy.prefixes != "none"
    return plan.options.get("enable-prefix-caching") is not False


def _simulated(spec: ServeSpec, options: Mapping[str, Any]) -> SchedulerLimits:
    """Those of the engine that computes nothing: its own defaults."""
    seqs = int(options.get("max-num-seqs") or 256)
    return SchedulerLimits(
        num_gpu_blocks=int(spec.engine.simulate.get("kv_blocks", SIMULATED_BLOCKS)) + 1,
        max_model_len=int(options.get("max-model-len") or 8192),
        max_num_batched_tokens=int(options.get("max-num-batched-tokens") or max(2048, seqs)),
        max_num_seqs=seqs,
        block_size=int(options.get("block-size") or 16),
    )


def watching_of(spec: ServeSpec) -> Watching:
    """How figures reach the autoscaler."""
    if spec.target != "kubernetes":
        return LOCAL
    if spec.kubernetes.scaler == "autoscaling-metric":
        return NATIVE
    if spec.kubernetes.scaler == "keda":
        return SERVED["prometheus"]
    platform = "stackdriver" if spec.kubernetes.platform == "gke" else "prometheus"
    return SERVED[spec.kubernetes.metrics or platform]


def _keda(spec: ServeSpec) -> Keda | None:
    if spec.target != "kubernetes" or spec.kubernetes.scaler != "keda" or not spec.scales:
        return None
    keda = spec.kubernetes.keda
    return Keda(float(keda.polling), float(keda.cooldown))


def starting_of(phases: tuple[StartPhase, ...]) -> Starting:
    """A replica's start, phase by phase, once its node is there."""
    named = [(PHASES[one.name], one.seconds) for one in phases if one.name in PHASES]
    again = [(PHASES[one.name], one.seconds) for one in phases if one.name in AGAIN]
    return Starting(tuple(named), tuple(again))


def _pool(plan: Plan, phases: tuple[StartPhase, ...]) -> NodePool:
    """Whole machines in a cluster, as they are paid for; here, what one replica takes of this one."""
    gpus = plan.gpus_per_replica if plan.hardware.gpus or plan.hardware.gpu_type else 0
    box = plan.hardware.machine
    if plan.spec.target != "kubernetes":
        return NodePool(gpus=gpus, price=plan.cost_per_hour)
    provision = next((one.seconds for one in phases if one.name == "node"), None)
    here = max(1, gpus // max(1, plan.nodes))
    if box is None or not box.gpus:
        price = None if plan.cost_per_hour is None else plan.cost_per_hour / max(1, plan.nodes)
        return NodePool(provision, 1, plan.nodes, gpus=here, price=price)
    each = plan.spec.hardware.price
    price = box.price if each is None else each * box.gpus
    return NodePool(provision, max(1, box.gpus // here), plan.nodes, gpus=box.gpus, price=price)
