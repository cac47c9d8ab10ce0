"""Is this machine ready? Rules over facts about it: findings, each with a fix."""

from dataclasses import dataclass

from stoker.advise import extras
from stoker.advise.extras import Installation
from stoker.findings import Finding
from stoker.planner.group import Group
from stoker.planner.plan import Hardware
from stoker.units import Bytes

LEAST_MEMORY = Bytes(6 * 1024**3)
LEAST_DISK = Bytes(4 * 1024**3)


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What `doctor` looked at. `engines` are the installed ones, as `name version`: at most one is well.

    groups are the fleets here that spread over several hosts, by name. wrong: what keeps Stoker from its own
    folders.
    """

    python: tuple[int, int]
    system: str
    machine: str
    hardware: Hardware
    engines: tuple[str, ...]
    gateway: bool
    page: bool
    disk_free: Bytes
    cache: str
    open_files: int
    port: int
    port_owner: str | None
    groups: tuple[tuple[str, Group], ...] = ()
    wrong: tuple[Finding, ...] = ()
    installed: Installation = Installation()


def check_machine(facts: MachineFacts) -> tuple[Finding, ...]:
    """Everything worth saying, in order; notes say what is well."""
    return (
        *_python(facts),
        *_engine(facts),
        *_processor(facts),
        *_room(facts),
        *(facts.wrong or (_note("Stoker's folders can be written", "home"),)),
        *_sockets(facts),
        *_groups(facts),
    )


def _note(what: str, rule: str) -> Finding:
    return Finding(what, severity="note", rule=rule)


def _python(facts: MachineFacts) -> tuple[Finding, ...]:
    version = ".".join(map(str, facts.python))
    if facts.python < (3, 11):
        return (
            Finding(
                f"Python {version} is too old",
                "Stoker needs 3.11 or newer",
                "sudo apt-get install python3.11 python3.11-venv",
                rule="python",
            ),
        )
    return (_note(f"Python {version}", "python"),)


def _engine(facts: MachineFacts) -> tuple[Finding, ...]:
    extra = extras.engine_for(len(facts.hardware.gpus), facts.system, facts.machine)
    if len(facts.engines) > 1:
        return (extras.two_engines(facts.engines, facts.installed, extra),)
    if not facts.engines:
        why = "planning, clusters and the simulated engine work without it"
        fix = extras.command(facts.installed, extra) if extra else "a Linux machine"
        return (Finding("vLLM is not installed", why, fix, severity="warning", rule="engine"),)
    return (_note(facts.engines[0].replace("vllm", "vLLM", 1), "engine"),)


def _processor(facts: MachineFacts) -> tuple[Finding, ...]:
    hardware = facts.hardware
    if hardware.gpus:
        return (
            _note(f"{len(hardware.gpus)} x {hardware.gpus[0].name}, {hardware.gpus[0].memory} each", "gpu"),
        )
    if facts.system != "Linux" or facts.machine != "x86_64":
        why = "the CPU engine needs x86-64 Linux; planning, clusters and the simulated engine work here"
        return (
            Finding(
                f"no engine runs on {facts.system} {facts.machine}",
                why,
                "a Linux machine, or `engine: {kind: simulated}`",
                severity="warning",
                rule="platform",
            ),
        )
    if "avx2" not in hardware.features:
        why = "vLLM's CPU build would stop with an illegal instruction"
        return (
            Finding(
                "this CPU has no AVX2",
                why,
                "another machine, or `engine: {kind: simulated}`",
                rule="cpu-avx2",
            ),
        )
    width = "AVX-512" if "avx512f" in hardware.features else "AVX2"
    names = {"avx512_bf16": "BF16", "amx_bf16": "AMX"}
    extra = [name for flag, name in names.items() if flag in hardware.features]
    found = [
        _note(
            f"{len(hardware.cores)} cores with {', '.join([width, *extra])}",
            "cpu",
        )
    ]
    if len(hardware.cores) < 2:
        found.append(
            Finding(
                "one core only",
                "gateway and engine share it",
                "two cores or more",
                severity="warning",
                rule="cores",
            )
        )
    if not any("tcmalloc" in library for library in hardware.preload):
        found.append(
            Finding(
                "tcmalloc is not installed",
                "with it the engine serves a tenth more tokens/s",
                "sudo apt-get install libtcmalloc-minimal4",
                severity="warning",
                rule="allocator",
            )
        )
    return tuple(found)


def _room(facts: MachineFacts) -> tuple[Finding, ...]:
    out = []
    free, disk = facts.hardware.memory_free, facts.disk_free
    if free < LEAST_MEMORY:
        out.append(
            Finding(
                f"{free} of memory are free",
                f"the demo takes about {LEAST_MEMORY}",
                "stop something, or set less `memory`",
                severity="warning",
                rule="memory",
            )
        )
    else:
        out.append(_note(f"{free} of memory free", "memory"))
    if disk < LEAST_DISK:
        out.append(
            Finding(
                f"{disk} of disk are free",
                "engine and weights need more",
                "free some space, or set STOKER_HOME",
                facts.cache,
                "warning",
                "disk",
            )
        )
    else:
        out.append(_note(f"{disk} of disk free", "disk"))
    return tuple(out)


def _sockets(facts: MachineFacts) -> tuple[Finding, ...]:
    out = []
    if facts.open_files < 4096:
        out.append(
            Finding(
                f"{facts.open_files} open files at most",
                "a relayed stream takes two",
                "ulimit -n 65536",
                severity="warning",
                rule="open-files",
            )
        )
    if facts.port_owner is not None:
        out.append(
            Finding(
                f"port {facts.port} is taken",
                f"{facts.port_owner} listens there",
                "--set endpoint.port=N",
                severity="warning",
                rule="port-taken",
            )
        )
    else:
        out.append(_note(f"port {facts.port} is free", "port"))
    if not facts.gateway:
        out.append(
            Finding(
                "uvloop is not installed",
                "the gateway serves without it, with more CPU time a request",
                extras.command(facts.installed, "local"),
                severity="warning",
                rule="gateway",
            )
        )
    if not facts.page:
        out.append(
            Finding(
                "the console's or the chat page's parts are not installed",
                "starlette, uvicorn or gradio is missing",
                extras.command(facts.installed, "local"),
                severity="warning",
                rule="page",
            )
        )
    return tuple(out)


def _groups(facts: MachineFacts) -> tuple[Finding, ...]:
    """What ranks on several hosts leave open: vLLM's rendezvous, gloo's and NCCL's ports ask for no key."""
    return tuple(
        Finding(
            f"the ranks of {name} speak with other hosts without authentication",
            why=f"vLLM's own ports ask for no key; they are bound to "
            f"{group.interface or f'the interface that leads to {group.master}'}",
            fix=f"let only the group's hosts reach that network; --interface names it (port {group.port} "
            f"asks for the group's key)",
            severity="warning",
            rule="group-open-ports",
        )
        for name, group in facts.groups
    )
