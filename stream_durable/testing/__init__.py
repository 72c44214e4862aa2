"""For authors and for us: the engine in memory, on virtual time, and worlds in which things go wrong."""
