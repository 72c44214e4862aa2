"""An app whose workflow says of itself what it is for."""

from stream_durable import App, Workflow

orders = Workflow(
    "order",
    input=dict[str, str],
    description="Ships orders.",
    tags=["shop", "vip"],
    metadata={"owner": "ann"},
)
orders.add("pack", lambda: 1, description="Puts things into a box.")
app = App("shop", workflows=[orders])
