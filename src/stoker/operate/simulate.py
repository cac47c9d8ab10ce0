"""`simulate`: a spec, its plan and a workload as a scenario, with the profile of an engine that is the
nearest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stoker.advise.lint.scaling.spec import lint_spec
from stoker.bench.job import TIMEOUT
from stoker.bounds import TEXT
from stoker.catalog import profiles
from stoker.engine.profile import EngineProfile, from_json
from stoker.errors import StokerError, UsageError
from stoker.events import Report, silent
from stoker.findings import Finding
from stoker.operate.plan import plan
from stoker.operate.simulated_profile import unlike
from stoker.planner.plan import Plan
from stoker.planner.startup import StartPhase, startup
from stoker.simulator.estimate import estimated
from stoker.simulator.from_plan import PHASES, scenario_of, starting_of
from stoker.simulator.scenario import Failures, Scenario
from stoker.spec import dump
from stoker.spec.nouns import ServeSpec
from stoker.system import reading
from stoker.system.reading import Unreadable
from stoker.traffic.objectives import SHARE, LatencyObjectives
from stoker.traffic.run import Environment
from stoker.traffic.workload import Workload

CPU = "cpu"
RUN, SWEEP = "run.json", "sweep.json"
RULE = "simulate-profile"
NEVER = {"lint-hpa-unreachable", "lint-hpa-disabled", "lint-scale-from-zero"}
NEEDED = "--profile DIR: of `stoker bench --sweep`, which measures one"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a simulation is asked beside its spec and workload; None and empty: as the spec and its plan say.

    profile: a run's directory, a file, or a name of the catalog's. phases: seconds of a start, by name.
    delay: of metrics. nodes: a quota. stock_outs: from, to. timeout: seconds after which a client gives up.
    """

    profile: str | None = None
    objectives: LatencyObjectives = LatencyObjectives()
    share: float = SHARE
    phases: Mapping[str, float] | None = None
    delay: float | None = None
    nodes: int | None = None
    stock_outs: tuple[tuple[float, float], ...] = ()
    failures: Failures = Failures()
    cold: bool = False
    price: float | None = None
    timeout: float = TIMEOUT


def scenario(
    spec: ServeSpec, workload: Workload, asked: Asked = Asked(), report: Report = silent
) -> tuple[Scenario, Plan]:
    """The scenario of a spec, and its plan. Raises: DoesNotFit, UsageError, WeightsFailed."""
    decided = planned(spec, report)
    profile = profile_of(decided, asked.profile)
    made = scenario_of(decided, profile, workload)
    pool = replace(made.pool, stock_outs=asked.stock_outs)
    if asked.nodes is not None:
        pool = replace(pool, most=asked.nodes)
    if asked.price is not None:
        pool = replace(pool, price=asked.price * pool.per_node / pool.nodes)
    if asked.phases:
        pool = replace(pool, provision=asked.phases.get("node", pool.provision))
        made = replace(made, starting=starting_of(_phases(decided, asked.phases)))
    if asked.delay is not None:
        made = replace(made, watching=replace(made.watching, delay=asked.delay))
    return (
        replace(
            made,
            pool=pool,
            failures=asked.failures,
            cold=asked.cold,
            timeout=asked.timeout,
            objectives=asked.objectives or made.objectives,
            share=asked.share,
            findings=tuple(_findings(decided, asked.profile)),
        ),
        decided,
    )


def _findings(decided: Plan, given: str | None) -> Iterator[Finding]:
    """What is known before it begins: a policy that can never add a replica, a profile of another engine."""
    yield from (one for one in lint_spec(decided.spec) if one.rule in NEVER)
    if given is not None:
        yield from unlike(decided, _file(given), given)


def planned(spec: ServeSpec, report: Report = silent) -> Plan:
    """The plan that is simulated: of the spec's own hardware where it names some, else of this machine."""
    return plan(
        spec, asked=spec.target == "kubernetes" or bool(spec.hardware.gpu not in (None, CPU)), report=report
    )


def _phases(plan: Plan, given: Mapping[str, float]) -> tuple[StartPhase, ...]:
    there = {one.name: one for one in startup(plan)}
    return tuple(
        StartPhase(name, given[name], "measured", "as given")  # type: ignore[arg-type]
        if name in given
        else there[name]  # type: ignore[index]
        for name in ("node", *PHASES)
        if name in given or name in there
    )


def environment(plan: Plan) -> Environment:
    """What a simulated run keeps of its set-up."""
    spec = plan.spec
    engine = f"vLLM {spec.engine.version}" if spec.engine.kind == "vllm" else spec.engine.kind
    told = {"strategy": plan.strategy, "cost_per_hour": plan.cost_per_hour}
    return Environment(engine=engine, spec=dump(spec), plan=told)


# profiles


def profile_of(plan: Plan, given: str | None) -> EngineProfile:
    """The one that was asked for; else the spec's own, a measured one of the catalog's, or an estimate.

    Raises: UsageError, with what would give one.
    """
    if given is not None:
        return _given(given)
    own = plan.spec.engine.simulate.get("profile")
    if isinstance(own, Mapping):
        return from_json(own)
    found = _measured(plan) or estimated(plan)
    if found is None:
        raise UsageError(
            "nobody has measured how fast this engine is",
            why=f"no profile of {plan.spec.model.served_name} on {plan.hardware} is at hand, and there is no "
            "figure to estimate one from",
            fix=NEEDED,
            rule=RULE,
        )
    return found


def _measured(plan: Plan) -> EngineProfile | None:
    shape = plan.shape
    if shape is None or plan.fit is None:
        return None
    gpu = plan.hardware.gpu_type
    hardware = gpu.key if gpu is not None else CPU if not plan.hardware.gpus else ""
    row = profiles.measured(
        shape.architecture, shape.parameters, plan.fit.settings.dtype, hardware, plan.gpus_per_replica
    )
    if row is None:
        return None
    return replace(
        from_json(row.values), source=f"{row.model} on {row.hardware}, vLLM {row.version}, {row.date}"
    )


def _given(name: str) -> EngineProfile:
    row = profiles.profiles().get(name)
    if row is not None:
        return replace(
            from_json(row.values), source=f"{row.model} on {row.hardware}, vLLM {row.version}, {row.date}"
        )
    path = _file(name)
    try:
        raw = json.loads(reading.read_text(path, TEXT, handed=True))
    except Unreadable as error:
        known = ", ".join(profiles.profiles())
        raise UsageError(
            f"--profile {name} cannot be read",
            at=str(path),
            why=error.why,
            fix=f"{NEEDED}; or one of {known}",
            rule=RULE,
        ) from None
    except (ValueError, RecursionError):
        raise _no_profile(path, "it is no JSON") from None
    found = raw.get("profile", raw) if isinstance(raw, dict) else None
    if not isinstance(found, dict):
        raise _no_profile(path, "it holds none: a run of several replicas, or of another tool, has none")
    try:
        return from_json(found)
    except (ValueError, TypeError) as error:
        raise _no_profile(path, str(error)) from None


def _file(name: str) -> Path:
    """The file that holds a profile, of a run's directory or of that name."""
    path = Path(name)
    if not path.is_dir():
        return path
    return next((path / one for one in (SWEEP, RUN) if (path / one).is_file()), path / RUN)


def _no_profile(path: Path, why: str) -> StokerError:
    return UsageError("this is no engine's profile", at=str(path), why=why, fix=NEEDED, rule=RULE)
