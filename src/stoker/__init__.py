"""Takes a model to a served vLLM fleet: on this machine in one command, on a cluster from the same file."""
