"""What the README says to type, typed: in a fresh environment, with the package as it would be published."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pages import ROOT, Block, blocks

from stream_durable.local.process import wait_for

pytestmark = [pytest.mark.real, pytest.mark.timeout(800)]

SECONDS = 90.0
#: First words of blocks that are not typed here, and why.
NOT_TYPED = {
    "make demo": "what make does is tested as such",
    "sudo apt-get": "a machine without Java",
    "docker compose": "there may be no Docker; tests/docs/test_compose.py reads the file",
}
#: A stand-in for kcat, of which the README uses these options.
KCAT = """\
#!{python}
import sys
from confluent_kafka import Producer

given = dict(zip(sys.argv[2::2], sys.argv[3::2]))
assert sys.argv[1] == "-P" and given.keys() <= {{"-b", "-t", "-k"}}, sys.argv
producer = Producer({{"bootstrap.servers": given["-b"]}})
for line in sys.stdin:
    producer.produce(given["-t"], line.strip(), given.get("-k"))
assert not producer.flush(30)
"""


#: A process, and where it writes to.
Shell = tuple[subprocess.Popen[bytes], Path]


class Clone:
    """A directory with what a clone has of the documents, and an environment made as the README says."""

    def __init__(self, home: Path, wheel: Path) -> None:
        self.home = home
        self.examples = home / "docs" / "examples"
        self._wheel = wheel
        shutil.copytree(ROOT / "docs" / "examples", self.examples)
        shutil.copytree(ROOT / "schemas", home / "schemas")
        shutil.rmtree(self.examples / ".durable", ignore_errors=True)
        ours = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_DURABLE_")}
        ours.pop("PYTHONPATH", None)
        # Of what is installed a tenth is imported, and compiled then.
        quick = {"PIP_NO_COMPILE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONDONTWRITEBYTECODE": ""}
        self.environment = {**ours, **quick, "PATH": f"{home / '.venv' / 'bin'}:{os.environ['PATH']}"}
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, text: str, *, cwd: Path | None = None, log: str = "block") -> Shell:
        """Begin to run a block in a shell of its own."""
        output = self.home / f"{log}.log"
        with output.open("wb") as file:
            shell = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", text],
                cwd=cwd or self.examples,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(shell)
        return shell, output

    def run(self, text: str, *, cwd: Path | None = None, seconds: float = SECONDS) -> str:
        """Run a block to its end, which must be a good one; return what it printed."""
        shell, output = self.start(text, cwd=cwd)
        code = shell.wait(seconds)
        assert code == 0, f"{text}\n{output.read_text()}"
        return output.read_text()

    def install(self, text: str) -> None:
        """Install what a block says, from the wheel where it says: from the clone."""
        self.run(re.sub(r"'\.\[", f"'{self._wheel}[", text), cwd=self.home, seconds=480)

    def end(self) -> None:
        for shell in self._started:
            for process in _family(shell.pid):
                process.kill()
            shell.wait()


def _family(pid: int) -> list[psutil.Process]:
    try:
        first = psutil.Process(pid)
        return [*first.children(recursive=True), first]
    except psutil.NoSuchProcess:
        return []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture
def clone(wheel: Path, tmp_path: Path) -> Iterator[Clone]:
    made = Clone(tmp_path / "clone", wheel)
    yield made
    made.end()


class Typed:
    """The blocks of the README, each typed once."""

    def __init__(self) -> None:
        self._left = [block for block in blocks("sh") if block.page == ROOT / "README.md"]

    def take(self, part: str) -> str:
        """Return the next block, which has this in it."""
        block = self._next()
        assert part in block.text, f"{block.place} was expected to have {part!r}:\n{block.text}"
        return block.text

    def _next(self) -> Block:
        while self._left:
            block = self._left.pop(0)
            if not block.text.startswith(tuple(NOT_TYPED)):
                return block
        raise AssertionError("the README has no more blocks")

    def is_over(self) -> bool:
        return all(block.text.startswith(tuple(NOT_TYPED)) for block in self._left)


def said(output: Path, text: str) -> None:
    wait_for(lambda: text in output.read_text(), seconds=SECONDS, what=f"{text!r} in {output}")


def test_every_block_does_what_it_is_there_for(clone: Clone) -> None:
    typed = Typed()

    # A first workflow.
    clone.install(typed.take("python3 -m venv .venv"))
    command = typed.take("stream-durable dev shop:app")
    dev, dev_log = clone.start(command.removeprefix("cd docs/examples\n"), log="dev")
    said(dev_log, "Ctrl-C stops everything.")
    order, order_log = clone.start(typed.take("runs start order"), log="order")
    said(order_log, "paid             waiting")

    # 1. Events.
    clone.run(typed.take("stream-durable publish payment.captured"))
    assert order.wait(SECONDS) == 0, order_log.read_text()
    assert order_log.read_text().splitlines()[-1] == '{"tracking":"T-42"}'
    assert "'tracking': 'T-42'" in clone.run(typed.take("python publish.py"))
    kcat = clone.home / ".venv" / "bin" / "kcat"
    kcat.write_text(KCAT.format(python=clone.home / ".venv" / "bin" / "python"))
    kcat.chmod(0o755)
    clone.run(typed.take("kcat -P"))

    # 2. Downstream.
    _, downstream = clone.start(typed.take("python downstream.py"), log="downstream")
    said(downstream, "order-42 is complete: ")

    # 4. Replay.
    assert "equal" in clone.run(typed.take("replay rebuild"), seconds=SECONDS)

    # 5. Streams.
    clone.install(typed.take("'.[streams]'"))
    streams, streams_log = clone.start(typed.take("faust -A shop_streams:streams worker"), log="streams")
    said(streams_log, "orders was created.")
    clone.run(typed.take('"number":"44"'))
    wait_for(lambda: "order-44" in clone.run("stream-durable runs list"), seconds=SECONDS, what="order-44")
    connections = [one for process in _family(streams.pid) for one in process.net_connections()]
    assert connections, "it is connected to Kafka"
    assert not [one for one in connections if one.status == psutil.CONN_LISTEN], streams_log.read_text()

    # 6. Tests.
    clone.install(typed.take("'.[testing]'").partition("cd docs/examples")[0])
    assert "5 passed" in clone.run("pytest -p no:cacheprovider test_shop.py")

    # 7. What a deployment would strand.
    clone.run(typed.take("workflows diff shop:app"))
    assert typed.is_over()

    os.killpg(dev.pid, signal.SIGINT)
    dev.wait(SECONDS)
    assert dev_log.read_text().splitlines()[-1] == "Everything has stopped."
    assert not [line for line in dev_log.read_text().splitlines() if line.startswith("%")]


def test_the_blocks_that_are_not_typed_are_those_that_are_listed() -> None:
    texts = [block.text for block in blocks("sh") if block.page == ROOT / "README.md"]

    assert all(any(text.startswith(first) for text in texts) for first in NOT_TYPED)
