"""The run entity: one execution of a workflow, and what each message means for it."""
