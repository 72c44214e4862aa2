"""The simulator: worlds drawn from a seed, in which things go wrong, and what must hold in each."""
