"""How Stoker's own processes log: plain lines, or with STOKER_LOG=json one JSON object a line, requests
included."""

import json
import logging
import os
import sys
import time

VARIABLE = "STOKER_LOG"
REQUESTS = "stoker.requests"  # one record a request, its figures in `fields`


def setup(role: str) -> None:
    """Sets up this process' logging, as the environment asks."""
    logging.raiseExceptions = False  # a log that cannot be written is no reason for a traceback in it
    handler = logging.StreamHandler(sys.stderr)
    structured = os.environ.get(VARIABLE, "").lower() == "json"
    handler.setFormatter(Structured(role) if structured else logging.Formatter("%(asctime)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    if structured:
        logging.getLogger("stoker").setLevel(logging.INFO)


def request_log() -> logging.Logger | None:
    """Where requests are logged; None where nobody asked for that."""
    log = logging.getLogger(REQUESTS)
    return log if log.isEnabledFor(logging.INFO) else None


class Structured(logging.Formatter):
    """A record as JSON: at (UTC), level, role, logger, message, and whatever the record brings in
    `fields`."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        out = {
            "at": at,
            "level": record.levelname.lower(),
            "role": self._role,
            "logger": record.name,
            "message": record.getMessage(),
        }
        out |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            out["error"] = f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        return json.dumps(out, default=str)
