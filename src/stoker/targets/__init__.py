"""Where it runs: local processes, a cluster, a simulation."""
