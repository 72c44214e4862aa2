"""The gate entity: the circuit breaker before a dependency, shared by all workers and workflows.

Attempts ask the gate before calling the dependency and report the result afterwards. Both messages go through
the same partition of the same log, so results are counted in one order everywhere, and exactly one trial
attempt is made at a time.
"""
