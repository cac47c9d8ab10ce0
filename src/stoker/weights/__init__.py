"""Where bytes are: sources, the cache, resumable copies, the demo models."""
