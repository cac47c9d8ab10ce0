"""Locust as another way to send a workload: its locustfile, and what runs it in a cluster."""
