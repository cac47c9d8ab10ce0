"""What only a GPU can settle, in one run of fifteen minutes: `python -m benchmarks.gpu`."""
