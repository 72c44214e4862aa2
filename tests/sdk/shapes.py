"""The second program of the documentation: branches, groups, items, children, and what steps answer."""

from pydantic import BaseModel

from stream_durable import App, Context, Expand, Happened, Jump, Results, Retry, Workflow, any_of, some_of


class Order(BaseModel):
    id: str
    total: float = 0


class Page(BaseModel):
    cursor: str = ""


fetch_page = Workflow("fetch_page", input=Page)


@fetch_page.step
def fetch(page: Page) -> dict[str, str | bool]:
    return {"next": page.cursor + "+", "done": len(page.cursor) > 2}


flow = Workflow("flow", input=Order, restart=Retry(2))


@flow.step
async def classify(order: Order) -> dict[str, str]:
    return {"kind": "digital" if order.total < 10 else "physical"}


kind = flow.branch("kind", on="classify.kind")


@kind.case("digital")
async def email_link(order: Order) -> None: ...


@kind.case("physical")
async def pack(order: Order) -> str:
    return f"parcel {order.id}"


@kind.case("physical")
async def hand_over(pack: str) -> None: ...


@kind.otherwise
async def ask_someone(order: Order) -> None: ...


@flow.step(after=kind)
async def close(order: Order) -> None: ...


@flow.step
def fraud(order: Order) -> str:
    return "none"


@flow.step
def stock(order: Order) -> str:
    return "enough"


@flow.step
def address(order: Order) -> str:
    return "known"


checks = flow.parallel("checks", [fraud, stock, address], on_error="complete_all", concurrency=2)


@flow.step
async def decide(checks: Results) -> str | Jump:
    return Jump("close") if checks.failed else "go"


@flow.step
def list_urls() -> list[str]:
    return ["a", "b"]


@flow.each(list_urls, concurrency=10)
async def resize(item: str) -> str:
    return item.upper()


@resize.compensate(retry=Retry(2))
async def enlarge(item: str, resize: str) -> None: ...


@flow.step
async def album(resize: list[str]) -> int:
    return len(resize)


@flow.template(timeout="5s")
def scan(item: str, order: Order) -> str:
    return f"{order.id}: {item}"


@flow.step(after=album.even_if_failed)
def scans(ctx: Context[Order]) -> Expand:
    return Expand([scan.of("x"), scan.of("y", name="why")])


page = flow.child(
    "page", fetch_page, input={"cursor": "input.id"}, until="page.done", again={"cursor": "page.next"},
    at_most=1000, every="5s",
)  # fmt: skip


@flow.step(after=[any_of(fraud, stock), some_of(2, close, album, page, cancel_rest=True)])
def first(fraud: str | None, stock: str = "unknown") -> str:
    return fraud or stock


@flow.on_failure
async def tell(happened: Happened, order: Order) -> None: ...


@flow.on_step_fail(retry=Retry(2), queue="mail")
def note(what: Happened, ctx: Context[Order]) -> None: ...


app = App("shapes", workflows=[flow])
