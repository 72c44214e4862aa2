"""Workflows and runs as pictures and as a report: pure functions from definitions and states to text."""

from stream_durable.pictures.graphviz import graphviz
from stream_durable.pictures.mermaid import mermaid
from stream_durable.pictures.report import Report, StepReport, report
from stream_durable.pictures.standing import Standing, States
from stream_durable.pictures.tables import table
from stream_durable.pictures.text import text

__all__ = ["Report", "Standing", "States", "StepReport", "graphviz", "mermaid", "report", "table", "text"]
