"""A worker's preStop: `outlive.py PORT SECONDS` waits until the leader has drained and gone, so long at most.

The leader's name is the set's own, in LWS_LEADER_ADDRESS.
"""

import os
import socket
import sys
import time


def main(host: str, port: int, seconds: float) -> None:
    """Returns once nothing has listened there for three looks, a second apart."""
    deadline, silent = time.monotonic() + seconds, 0
    while time.monotonic() < deadline and silent < 3:
        try:
            socket.create_connection((host, port), timeout=2).close()
            silent = 0
        except OSError:
            silent += 1
        time.sleep(1)


if __name__ == "__main__":
    main(os.environ["LWS_LEADER_ADDRESS"], int(sys.argv[1]), float(sys.argv[2]))
