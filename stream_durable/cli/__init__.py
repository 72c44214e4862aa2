"""The command line: parsing and printing. Each command imports its dependencies when run."""


def main() -> None:
    """Run the command line."""
    from stream_durable.cli.root import app

    app(prog_name="stream-durable")
