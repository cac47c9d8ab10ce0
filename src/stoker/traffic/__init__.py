"""Traffic: what is sent to an endpoint, what became of it, and how that is measured. Pure: bench sends it."""
