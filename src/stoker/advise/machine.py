"""Is this machine ready? Rules over facts about it: findings, each with a fix."""

from dataclasses import dataclass

from stoker.advise import extras
from stoker.advise.extras import Installation
from stoker.catalog.rules import rule
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
        *(facts.wrong or (rule("home").finding(),)),
        *_sockets(facts),
        *_groups(facts),
    )


def _python(facts: MachineFacts) -> tuple[Finding, ...]:
    version = ".".join(map(str, facts.python))
    return (rule("python", "" if facts.python < (3, 11) else "well").finding(version=version),)


def _engine(facts: MachineFacts) -> tuple[Finding, ...]:
    extra = extras.engine_for(len(facts.hardware.gpus), facts.system, facts.machine)
    if len(facts.engines) > 1:
        return (extras.two_engines(facts.engines, facts.installed, extra),)
    if not facts.engines:
        command = extras.command(facts.installed, extra) if extra else "a Linux machine"
        return (rule("engine").finding(command=command),)
    return (rule("engine", "well").finding(engine=facts.engines[0].replace("vllm", "vLLM", 1)),)


def _processor(facts: MachineFacts) -> tuple[Finding, ...]:
    hardware = facts.hardware
    if hardware.gpus:
        first = hardware.gpus[0]
        return (rule("gpu").finding(count=len(hardware.gpus), name=first.name, memory=first.memory),)
    if facts.system != "Linux" or facts.machine != "x86_64":
        return (rule("platform").finding(system=facts.system, machine=facts.machine),)
    if "avx2" not in hardware.features:
        return (rule("cpu-avx2").finding(),)
    return _cores(hardware)


def _cores(hardware: Hardware) -> tuple[Finding, ...]:
    width = "AVX-512" if "avx512f" in hardware.features else "AVX2"
    names = {"avx512_bf16": "BF16", "amx_bf16": "AMX"}
    extra = [name for flag, name in names.items() if flag in hardware.features]
    found = [rule("cpu").finding(count=len(hardware.cores), features=", ".join([width, *extra]))]
    if len(hardware.cores) < 2:
        found.append(rule("cores").finding())
    if not any("tcmalloc" in library for library in hardware.preload):
        found.append(rule("allocator").finding())
    return tuple(found)


def _room(facts: MachineFacts) -> tuple[Finding, ...]:
    free, disk = facts.hardware.memory_free, facts.disk_free
    memory = rule("memory", "" if free < LEAST_MEMORY else "well")
    room = rule("disk", "" if disk < LEAST_DISK else "well")
    where = facts.cache if disk < LEAST_DISK else ""
    return memory.finding(free=free, least=LEAST_MEMORY), room.finding(where, free=disk)


def _sockets(facts: MachineFacts) -> tuple[Finding, ...]:
    out = []
    if facts.open_files < 4096:
        out.append(rule("open-files").finding(count=facts.open_files))
    if facts.port_owner is not None:
        out.append(rule("port-taken").finding(port=facts.port, owner=facts.port_owner))
    else:
        out.append(rule("port").finding(port=facts.port))
    if not facts.gateway:
        out.append(rule("gateway").finding(command=extras.command(facts.installed, "local")))
    if not facts.page:
        out.append(rule("page").finding(command=extras.command(facts.installed, "local")))
    return tuple(out)


def _groups(facts: MachineFacts) -> tuple[Finding, ...]:
    """What ranks on several hosts leave open: vLLM's rendezvous, gloo's and NCCL's ports ask for no key."""
    return tuple(
        rule("group-open-ports").finding(
            name=name,
            port=group.port,
            interface=group.interface or f"the interface that leads to {group.master}",
        )
        for name, group in facts.groups
    )
