"""Print docs/reference/settings.md."""

from stream_durable.settings.page import reference

if __name__ == "__main__":
    print(reference(), end="")
