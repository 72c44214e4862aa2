"""The admission entity: the starts of a workflow and a key.

Runs ask before the beginning, and are let in after a quiet time, in batches, or singly. Others go with a run
let in as members, and end as merged once the run, the taker, has begun.
"""
