"""A rendered locustfile as a module, without Locust: what it would send, and how it reads answers."""

import sys
import types
from typing import Any
from unittest import mock

from stoker.bench import files
from stoker.render.locust.locustfile import locustfile
from stoker.traffic import asked
from stoker.traffic.asked import Asked
from stoker.traffic.workload import Workload


def workload(**words: Any) -> Workload:
    """The workload of these words."""
    return asked.read({name: Asked(value) for name, value in words.items()}, files.files())


def module(text: str) -> Any:
    """The file's own namespace, with a Locust that does nothing."""
    names = (
        "gevent",
        "gevent.event",
        "gevent.pool",
        "locust",
        "locust.stats",
        "locust.event",
        "locust.runners",
    )
    doubles: dict[str, Any] = {name: mock.MagicMock() for name in names}
    doubles["locust"].FastHttpUser = doubles["locust"].LoadTestShape = object
    doubles["locust"].task = lambda function: function
    for event in ("init", "test_start", "test_stop", "quitting"):
        getattr(doubles["locust"].events, event).add_listener = lambda function: function
    found = types.ModuleType("locustfile")
    with mock.patch.dict(sys.modules, doubles):
        exec(compile(text, "locustfile.py", "exec"), found.__dict__)
    return found


def rendered(**words: Any) -> Any:
    """The locustfile of a workload of these words, as a module."""
    return module(locustfile(workload(**words), "http://shop:8000", "m"))
