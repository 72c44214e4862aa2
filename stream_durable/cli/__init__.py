"""The command line: parsing and printing. What a command needs is imported when it runs."""


def main() -> None:
    """Run the command line."""
    from stream_durable.cli.root import app

    app(prog_name="stream-durable")
