"""Schedules: rules that start runs, the moments of a rule, and the policies around a firing."""
