"""The same fold, other ends: rebuild the state from the log, and prove that the two agree."""
