"""The gate entity: the circuit breaker before a dependency, one for all workers and all workflows.

Whoever wants to call the dependency asks the gate, and whoever has called it says how that went. Both
reach it through the same partition of the same log, so it counts what happened everywhere, in one
order, and exactly one attempt tries whether the dependency is back.
"""
