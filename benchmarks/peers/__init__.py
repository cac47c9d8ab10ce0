"""Today's load generators, each pinned, installed by itself and asked the same thing in its own words.

A module a peer: `run(url, model, load, core)` sends the load and returns what the peer itself says of it.
"""
