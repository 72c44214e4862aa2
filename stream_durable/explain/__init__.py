"""Why a run or a step is not moving: one pure function from a snapshot to code, sentence and evidence."""
