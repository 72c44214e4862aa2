"""The same request to many runs, page by page: neither memory nor the broker holds all of them at once."""

from __future__ import annotations

from collections.abc import Callable

from stream_durable.client.edge import Edge
from stream_durable.core.messages import RunMessage
from stream_durable.ports import RunQuery

#: Runs per page of requests; the next page is read after these.
PAGE_RUNS = 500

#: Hears how many runs have been told so far.
Progress = Callable[[int], None]


async def order_all(
    edge: Edge,
    query: RunQuery | None,
    order: Callable[[str], RunMessage],
    doing: str,
    progress: Progress | None,
) -> int:
    """Send the request to every run of the query; return the number of runs.

    Runs started meanwhile are left out: the first page begins below them.
    """
    views, told, after = edge.ports.views, 0, None
    while query is not None:
        start = after
        page = await edge.ask(lambda: views.run_list(query, limit=PAGE_RUNS, after=start), "list runs")  # noqa: B023
        await edge.send_all([order(run.id) for run in page.runs], doing)
        told += len(page.runs)
        if progress is not None:
            progress(told)
        if page.following is None:
            break
        after = page.following
    return told
