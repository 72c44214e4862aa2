from pydantic import BaseModel
from shop import Order, orders

from stream_durable.streams import Start, StreamApp


class OrderPlaced(BaseModel):
    number: str
    cart: list[str]
    total: float
    is_test: bool = False


streams = StreamApp("shop")


@streams.turns("orders", value=OrderPlaced)
def place(placed: OrderPlaced) -> Start | None:
    if placed.is_test:
        return None
    order = Order(id=placed.number, items=placed.cart, total=placed.total)
    return Start(orders, order, id=f"order-{placed.number}")


if __name__ == "__main__":
    streams.main()
