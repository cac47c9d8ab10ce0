"""`python -m tests.support.cluster KUBECONFIG`: runs the double and writes a kubeconfig for it."""

import sys
import time
from pathlib import Path

from tests.support.cluster import Cluster


def main() -> None:
    """Runs until it is interrupted, with four nodes of eight L4."""
    with Cluster() as cluster:
        for number in range(4):
            cluster.node(f"l4-{number}", 8, "nvidia-l4")
        Path(sys.argv[1]).write_text(cluster.kubeconfig())
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
