"""What runs: FleetState, the changes towards a plan, and the Target protocol."""
