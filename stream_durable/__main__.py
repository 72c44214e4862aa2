"""`python -m stream_durable`: the command line."""

from stream_durable.cli import main

if __name__ == "__main__":
    main()
