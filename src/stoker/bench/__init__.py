"""Bench: sends a workload to an endpoint and records what becomes of each request. The load generator."""
