"""Our scheduler against vLLM's own class, step by step; `python -m benchmarks.scheduler`."""
