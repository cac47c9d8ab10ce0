"""What `stoker up` prints to be typed, typed: from the folder where the user stands."""

import subprocess
from pathlib import Path

from tests.conftest import Stoker


def told(text: str, label: str) -> str:
    """A line of the box that `up` ends with, without its label."""
    return next(line for line in text.splitlines() if line.startswith(f" {label}"))[11:].strip()


def typed(line: str, where: Path, stoker: Stoker) -> str:
    """What a shell in that folder makes of a line."""
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=where,
        env={**stoker.env, "PATH": "/usr/bin:/bin"},
        input="Hello",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_chat_try_and_stop_work_from_here(stoker: Stoker) -> None:
    ran = stoker("up", "-d", "-f", stoker.spec())
    assert ran.code == 0, ran.err
    chat = next(line.strip() for line in ran.out.splitlines() if line.endswith(" chat"))
    assert "Hello" in typed(chat, stoker.home, stoker)
    begin = ran.out.index("curl ")
    request = ran.out[begin : ran.out.index("\n runs")]
    assert '"choices"' in typed(request, stoker.home, stoker)
    typed(told(ran.out, "stop"), stoker.home, stoker)
    assert stoker("status").code == 2


def test_of_two_fleets_each_is_stopped_by_its_own_line(stoker: Stoker) -> None:
    assert stoker("up", "-d", "-f", stoker.spec("one")).code == 0
    port = str(stoker.port + 2)
    ran = stoker("up", "-d", "-f", stoker.spec("two"), "--set", f"endpoint.port={port}")
    assert ran.code == 0, ran.err
    typed(told(ran.out, "stop"), stoker.home, stoker)
    assert stoker("status", "--name", "two").code == 2
    assert stoker("status", "--name", "one").code == 0


def test_a_simulated_fleet_tells_of_no_vllm(stoker: Stoker) -> None:
    ran = stoker("up", "-d", "-f", stoker.spec(simulate={"tokens": 3}))
    assert "vllm serve" not in ran.out
    assert "stoker.targets.simulated" in told(ran.out, "runs")
    assert "vllm serve" not in stoker("plan", "-f", stoker.spec()).out
