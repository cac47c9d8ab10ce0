"""State files of a local fleet, cut, emptied, overwritten, and changed with a checksum that fits."""

from __future__ import annotations

import json
import os
import random
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.fuzz.cases import command, machine
from benchmarks.fuzz.mutations import mutate_bytes, mutate_tree

FILES = ("wanted.json", "state.json", "routes.json", "generations.json", "gateway.seen.1.json")
KEYS = (
    "revision",
    "processes",
    "fleet",
    "children",
    "routes",
    "ready",
    "generations",
    "id",
    "phase",
    "wanted",
    "stopped",
)


@cache
def valid() -> dict[str, dict[str, Any]]:
    """What a fleet of two replicas has in its folder."""
    from stoker.fleet.process import Wanted, wanted_to_json
    from stoker.planner.local import plan_local
    from stoker.render.processes import processes
    from stoker.spec import dump, load
    from stoker.targets.gateway.config import Route, Routes
    from stoker.targets.local.child import Child
    from stoker.targets.local.folder import Record
    from stoker.targets.local.publish import Said, fleet_state

    spec = load("{name: sim, model: ./m, replicas: 2, engine: {kind: simulated}, endpoint: {page: false}}")
    plan = plan_local(spec, None, machine(), "./m")
    wanted = Wanted(
        3, "sim", processes(plan, "/f"), endpoint="http://127.0.0.1:8000", model="m", spec=dump(spec)
    )
    children = [
        Child(one, n + 1, wanted.stamp(one), Path("/f/logs")) for n, one in enumerate(wanted.processes)
    ]
    record = Record(
        fleet_state(Said(wanted, wanted), children), tuple(c.record() for c in children), 1, wanted, 2, 5
    )
    routes = Routes(5, (Route("1.2", "127.0.0.1", 9000), Route("2.3", "127.0.0.1", 9001)), "")
    raw = [
        wanted_to_json(wanted),
        record.to_json(),
        routes.to_json(),
        {"generations": [wanted_to_json(wanted)]},
    ]
    raw.append(
        {"revision": 5, "in_flight": {}, "ready": ["1.2"], "silent": {}, "asked": [], "waiting": False}
    )
    return dict(zip(FILES, json.loads(json.dumps(raw)), strict=True))


def make(chance: random.Random) -> dict[str, Any]:
    """All files, of which one to three are damaged."""
    from stoker.system.files import CHECKSUM, checksum

    texts = {name: json.dumps({**tree, CHECKSUM: checksum(tree)}).encode() for name, tree in valid().items()}
    for name in chance.sample(FILES, chance.choice((1, 1, 2, 3))):
        if chance.random() < 0.3:
            texts[name] = mutate_bytes(texts[name], chance, texts[chance.choice(FILES)])
            continue
        tree = mutate_tree(valid()[name], chance, KEYS)
        whole = (
            {**tree, CHECKSUM: checksum(tree)} if isinstance(tree, dict) and chance.random() < 0.7 else tree
        )
        texts[name] = json.dumps(whole).encode()
    return {
        "texts": texts,
        "verb": chance.choice(("status", "why", "logs", "rollback", "adopt", "gateway", "list")),
    }


def read(case: dict[str, Any]) -> None:
    """A verb, or a supervisor or gateway that takes over; no process is started."""
    from stoker.targets.local import adoption, launching, target
    from stoker.targets.local.housekeeping import Upkeep
    from stoker.targets.local.publish import Publisher
    from stoker.targets.local.rollout import Rollouts

    home, before = os.environ["STOKER_HOME"], launching.ensure_supervisor
    os.environ["STOKER_HOME"] = f"{home}/{os.getpid()}"
    folder = target.LocalTarget("sim").folder
    launching.ensure_supervisor = lambda folder: None
    try:
        folder.make()
        for name, text in case["texts"].items():
            (folder.path / name).write_bytes(text)
        if case["verb"] == "adopt":
            record = adoption.read_record(folder)
            upkeep = Upkeep(folder, None, record)
            upkeep.look()
            adoption.adopt(folder, record, upkeep.wanted)
            Rollouts(folder, record.fleet.stopped if record else None).led(upkeep.wanted)
            Publisher(folder, record)
        elif case["verb"] == "gateway":
            from stoker.targets.gateway.config import Routes, Seen

            Seen.read(folder.path / "gateway.seen.1.json")
            Routes.read(folder.routes_file)
        elif case["verb"] == "list":
            command("status", "-A")
        else:
            more = ("--timeout", "0s") if case["verb"] == "rollback" else ()
            command(case["verb"], "--name", "sim", *more)
    finally:
        launching.ensure_supervisor = before
        os.environ["STOKER_HOME"] = home
        shutil.rmtree(folder.path.parents[2], ignore_errors=True)
