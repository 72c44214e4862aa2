"""The run entity: one execution of a workflow, and the effect of each message."""
