"""Millions of damaged records on every topic of real processes: `make fuzz RECORDS=1000000`."""
