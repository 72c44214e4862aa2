"""The command line: parsing and printing. Each command imports its dependencies when run."""


def main() -> None:
    """Run the command line."""
    import gc

    # Imports make many objects and no garbage: looking for some takes a tenth of their time. A service sets
    # bounds of its own once it is assembled.
    gc.set_threshold(500_000, 20, 100)
    from stream_durable.cli.root import app

    app(prog_name="stream-durable")
