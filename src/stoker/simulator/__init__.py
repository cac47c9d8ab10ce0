"""What if: a fleet on a virtual clock, with the engine's scheduler, the autoscaler's decision, the traffic
and the plan that the real one has.
"""
