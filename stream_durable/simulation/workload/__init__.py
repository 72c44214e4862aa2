"""Workflows of every kind, and clients' actions on them: the load of a simulated world."""

from stream_durable.simulation.workload.classes import CLASSES, of_class
from stream_durable.simulation.workload.functions import restart_serial
from stream_durable.simulation.workload.plan import Plan, Sent
from stream_durable.simulation.workload.scripts import application, drawn

__all__ = ["CLASSES", "Plan", "Sent", "application", "drawn", "of_class", "restart_serial"]
