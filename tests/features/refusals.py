"""What a definition is refused for, as users read it, with the place in the file left out."""

from __future__ import annotations

import re

import pytest

from stream_durable import DefinitionError, Workflow


def refusal(flow: Workflow) -> list[str]:
    """Return the sentences of the one error that a workflow is refused with."""
    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    first, *faults = str(caught.value).splitlines()
    count = len(faults)
    assert first == f"workflow {flow.name!r} has {count} fault{'s' if count > 1 else ''}:"
    sentences = []
    for fault in faults:
        assert re.match(r"  \S+/\w+\.py:\d+: ", fault), f"no file and line: {fault!r}"
        sentences.append(re.sub(r"^  \S+/\w+\.py:\d+: ", "", fault))
    return sentences
