"""Schedules: rules for starting runs, the moments of a rule, and the policies around a firing."""
