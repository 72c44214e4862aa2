"""What a message means for an entity: a function of state, message and definition, and nothing else.

No clock, no chance, no I/O, no awaiting. Time is the log time of the record; jitter comes from a
hash; ids are derived. So the same records always give the same state, byte for byte, and the whole
system can be simulated in one thread.
"""
