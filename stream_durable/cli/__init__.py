"""The command line: parsing and printing. Each command imports its dependencies when run."""


def main() -> None:
    """Run the command line."""
    import gc

    # Imports make many objects and no garbage: looking for some takes a tenth of their time.
    gc.set_threshold(50_000, 20, 100)
    from stream_durable.cli.root import app

    app(prog_name="stream-durable")
