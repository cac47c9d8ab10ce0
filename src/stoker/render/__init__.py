"""How it is written: vLLM's command line and the processes of a machine."""
