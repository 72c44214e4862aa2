"""The app of the tests of the command line, and beside it a workflow that has some of everything."""

from orders_app import orders, quick

from stream_durable import App, Fail, Workflow

shapes = Workflow("shapes")


@shapes.step
async def list_urls() -> list[int]:
    return [1, 2, 3]


@list_urls.compensate
async def forget() -> None: ...


@shapes.each(list_urls, on_error="complete_all")
async def resize(item: int) -> int:
    if item == 2:
        raise Fail("blurred", retryable=False)
    return item


part = shapes.child("part", quick, input={"n": "list_urls.0"})
warmth = shapes.branch("warmth", on="list_urls.0")


@warmth.case(1)
async def warm() -> None: ...


@warmth.otherwise
async def cold() -> None: ...


both = shapes.parallel("both", [resize, part, warmth])


@shapes.step(after=both)
async def end() -> None:
    raise Fail("enough", retryable=False)


@shapes.on_failure
async def mourn() -> None: ...


app = App("shapes", workflows=[orders, quick, shapes])
