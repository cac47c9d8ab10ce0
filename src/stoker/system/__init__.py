"""The doors to the world: processes, files, keys, clock, HTTP."""
