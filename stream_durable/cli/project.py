"""`new` and `init`: projects that run, with tests that pass."""

from __future__ import annotations

import re
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from stream_durable.cli.change import Change, changes
from stream_durable.cli.errors import UsageError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


class Template(StrEnum):
    """What a project begins with."""

    ORDER = "order"
    APPROVAL = "approval"
    IMPORT = "import"
    CRON = "cron"


class _About(NamedTuple):
    text: str
    #: Lines for a shell, beside a running `dev`.
    commands: str


_ABOUT: Final = {
    Template.ORDER: _About(
        "Orders: stock is reserved, the card charged, the parcel shipped. A failure undoes what was done.",
        """stream-durable runs start order --id order-42 --input '{"id": "42", "sku": "tea", "amount": 9.5}'
stream-durable publish parcel.handed_over --key 42 --data '{"parcel": "P-1"}'
stream-durable runs watch order-42""",
    ),
    Template.APPROVAL: _About(
        "Expenses: small ones are paid at once, large ones after a person has approved them.",
        """stream-durable runs start expense --id expense-7 --input '{"id": "7", "who": "ann", "amount": 250}'
stream-durable inputs list
stream-durable inputs answer expense-7 approved --answer '"yes"'
stream-durable runs watch expense-7""",
    ),
    Template.IMPORT: _About(
        "Imports: a list is split, each part is fetched beside the others, and bad parts hold up nothing.",
        """stream-durable runs start import --id import-1 --input '{"source": "shop", "pages": 20}' --follow
stream-durable runs show import-1""",
    ),
    Template.CRON: _About(
        "Reports: one each night, in one time zone, also over a change of the clocks.",
        """stream-durable schedules next nightly
stream-durable schedules trigger nightly
stream-durable runs list""",
    ),
}
_SUFFIX: Final = ".tmpl"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

TemplateOption = Annotated[
    Template,
    typer.Option("--template", "-t", help="order, approval, import (a fan-out) or cron (a schedule)."),
]


@changes
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the project, and of its directory.")],
    template: TemplateOption = Template.ORDER,
    *,
    change: Change,
) -> None:
    """Create a project in a new directory: an app, tests that pass, and a page that says how to run it.

    Example: `stream-durable new shop --template order`
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a project: write letters, digits, - and _, as my-shop")
    _create(Path(name), name, template, change, f"create project {name} from template {template.value}")


@changes
def init(template: TemplateOption = Template.ORDER, *, change: Change) -> None:
    """Add an app with tests to the project in this directory; no existing file is touched.

    Example: `stream-durable init --template approval`
    """
    here = Path.cwd()
    _create(here, here.name or "app", template, change, f"add template {template.value} to {here}")


def _create(home: Path, name: str, template: Template, change: Change, what: str) -> None:
    made = dict(sorted(_files(name, template)))
    if home != Path.cwd() and home.exists():
        raise UsageError(
            f"there is {home} already: take another name, or `cd {home}` and stream-durable init"
        )
    code = [file for file in made if file.endswith(".py") and (home / file).exists()]
    if code:
        raise UsageError(f"there is {', '.join(code)} already in {home}: nothing was written")
    # What a project has already, such as its pyproject.toml, is its own.
    wanted = {file: text for file, text in made.items() if not (home / file).exists()}
    if change.dry_run:
        change.would(f"{what}: {', '.join(wanted)}", files=list(wanted))
        return
    home.mkdir(exist_ok=True)
    for file, text in wanted.items():
        (home / file).write_text(text, encoding="utf-8")
    change.made(what, _done(home, wanted, made), files=list(wanted))


def _done(home: Path, wanted: dict[str, str], made: dict[str, str]) -> str:
    lines = [f"Created {', '.join(wanted)}."]
    if kept := sorted(made.keys() - wanted.keys()):
        lines.append(f"Left as it was: {', '.join(kept)}.")
    go = [] if home == Path.cwd() else [f"  cd {home}"]
    return "\n".join([*lines, "Try next:", *go, "  pytest", "  stream-durable dev app:app"])


def _files(name: str, template: Template) -> list[tuple[str, str]]:
    """Return the files of a project, by name."""
    folder = files("stream_durable.cli") / "templates"
    sources = [*(folder / "common").iterdir(), *(folder / template.value).iterdir()]
    return [
        (_target(source), _filled(source, name, template))
        for source in sources
        if source.name.endswith(_SUFFIX)
    ]


def _target(source: Traversable) -> str:
    name = source.name.removesuffix(_SUFFIX)
    return ".gitignore" if name == "gitignore" else name


def _filled(source: Traversable, name: str, template: Template) -> str:
    text = source.read_text(encoding="utf-8")
    if source.name == f"README.md{_SUFFIX}" or source.name.startswith("pyproject"):
        about = _ABOUT[template]
        for key, value in (("name", name), ("about", about.text), ("commands", about.commands)):
            text = text.replace(f"{{{key}}}", value)
    return text
