"""This machine: a supervisor that keeps processes, and a gateway in front of the replicas."""
