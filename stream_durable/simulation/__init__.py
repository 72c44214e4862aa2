"""The simulator: worlds drawn from a seed, with faults, and the invariants of each."""
