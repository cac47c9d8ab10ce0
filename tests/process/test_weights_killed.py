"""A copy that is killed goes on from there."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.hub import World, tiny_model


@pytest.mark.parametrize("moment", [0.1, 0.2, 0.35])
def test_killed_at_any_moment_it_goes_on_from_there(world: World, tmp_path: Path, moment: float) -> None:
    world.files = tiny_model(1_500_000)  # 6 MB in ranges of 1 MiB
    world.delay = 0.1
    code = (
        "import sys; from pathlib import Path; from stoker.weights import fetch, transfer; from "
        "stoker.spec.nouns import Hub\n"
        "transfer.RANGE = 1 << 20; fetch(Hub('org/repo'), cache=Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    until = time.monotonic() + 60
    while not list(tmp_path.glob(".partial/*")) and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.glob("hub/*/.source"))
    kept = sum(len(p.read_text().splitlines()) for p in tmp_path.glob(".partial/*.ranges"))
    world.seen.clear()
    world.delay = 0.0
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0
    folder = next(tmp_path.glob("hub/*/.source")).parent
    assert (folder / "model.safetensors").read_bytes() == world.files["model.safetensors"]
    assert world.reads <= 8 - kept
