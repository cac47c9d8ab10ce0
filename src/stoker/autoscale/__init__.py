"""How many replicas: the horizontal pod autoscaler's own algorithm, as a function from what is seen to a
decision."""

from stoker.autoscale.hpa import Decision, History, decide
from stoker.autoscale.policy import Controller, Metric, Policy, Rate, Rules
from stoker.autoscale.seen import Figures, Lost, Pod, Reading, Scale

__all__ = [
    "Controller",
    "Decision",
    "Figures",
    "History",
    "Lost",
    "Metric",
    "Pod",
    "Policy",
    "Rate",
    "Reading",
    "Rules",
    "Scale",
    "decide",
]
