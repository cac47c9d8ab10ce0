"""The one endpoint in front of the replicas."""
