"""All faults at once, for as long as one likes, judged from outside: `make chaos MINUTES=60 SEED=7`."""
