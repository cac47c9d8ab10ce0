"""How the pod's own programs ask its witness (`stoker_witness`): a word in, a line of JSON out, by sockets in
a folder."""

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("STOKER_WITNESS", "/tmp/stoker"))
ANSWERING = 10.0  # seconds within which the API's process answers here, if it lives


def ask(word: str) -> list[dict[str, Any]]:
    """Says `requests` or `end` to each API process of this container; what they answer: `Witness.facts`.

    Raises: OSError, where a process that listens does not answer.
    """
    with contextlib.ExitStack() as stack:
        asked = []
        for path in sorted(FOLDER.glob("*.sock")):
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.settimeout(ANSWERING)
            try:
                one.connect(str(path))
            except (ConnectionRefusedError, FileNotFoundError):  # left by a process of an earlier life
                continue
            one.sendall(word.encode() + b"\n")
            asked.append(stack.enter_context(one.makefile()))
        return [json.loads(line) for line in (answer.readline() for answer in asked) if line]
