"""The addresses of brokers and of the database: read, masked, and how far away they are."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import SecretStr

MASK: Final = "********"


def split_dsn(dsn: SecretStr) -> SplitResult:
    """Return the parts of an address; raise a ValueError without quoting the address."""
    try:
        return urlsplit(dsn.get_secret_value())
    except ValueError:
        # The parser's message quotes unreadable input.
        raise ValueError("write postgresql://user:password@host:port/database") from None


def ssl_mode(dsn: SecretStr) -> str:
    """Return the mode as the driver reads it: `prefer` falls back to plaintext without a word."""
    return parse_qs(split_dsn(dsn).query).get("sslmode", ["prefer"])[-1]


def masked_dsn(dsn: SecretStr) -> str:
    """Return an address without secrets. A query may hold secrets."""
    address = split_dsn(dsn)
    user, _, host = address.netloc.rpartition("@")
    name, _, password = user.partition(":")
    who = name + (f":{MASK}" if password else "") + ("@" if user else "")
    shown = f"{address.scheme}://{who}{host}{address.path}"
    options = {key: values[-1] for key, values in parse_qs(address.query).items()}
    query = [f"{key}={value if key in ('host', 'sslmode') else MASK}" for key, value in options.items()]
    return shown + (f"?{'&'.join(query)}" if query else "")


def hosts_of(dsn: SecretStr) -> list[str]:
    """Return the hosts in the address of a database, without ports."""
    return [host_of(host) for host in address_of(dsn).split(",")]


def address_of(dsn: SecretStr) -> str:
    """Return the hosts and ports of a database alone, or the path of its socket."""
    address = split_dsn(dsn)
    return unquote(address.netloc.rpartition("@")[2]) or parse_qs(address.query).get("host", [""])[-1]


def host_of(address: str) -> str:
    """Return an address without the port: `host:1`, `[::1]:1`, `::1`, `/a/socket`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address if address.count(":") > 1 else address.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
