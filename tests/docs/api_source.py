"""Reads classes and functions from the source, without importing: annotations as they are written."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from pages import ROOT

_COMMENT = re.compile(r"\s*#: ?(.*)")
_BASES_SHOWN = frozenset({"Exception", "Mapping", "NamedTuple", "TypedDict"})


class Module(NamedTuple):
    """A module: its tree, its lines, and where its names come from."""

    name: str
    tree: ast.Module
    lines: list[str]
    imports: dict[str, tuple[str, str]]


class Found(NamedTuple):
    """A class, a function or a constant, and the module that defines it."""

    module: Module
    node: ast.stmt


class Field(NamedTuple):
    """A value that an object has: its name, its type, its default, and the comment above it."""

    name: str
    type: str
    default: str
    about: str


@cache
def module(name: str) -> Module:
    """Read a module of the package."""
    path = ROOT.joinpath(*name.split("."))
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
    tree = ast.parse(text)
    imports = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }
    return Module(name, tree, text.splitlines(), imports)


def public_names(name: str) -> list[str]:
    """Return the names that a module exports, sorted."""
    for node in module(name).tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return sorted(ast.literal_eval(node.value), key=str.lower)
    raise LookupError(f"{name} has no __all__")


def find(home: str, name: str) -> Found | None:
    """Return where a name of a module is defined; None if that is outside the package."""
    here = module(home)
    for node in here.tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return Found(here, node)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return Found(here, node)
    origin, original = here.imports.get(name, ("", ""))
    return find(origin, original) if origin.startswith("stream_durable") else None


def family(found: Found) -> Iterator[Found]:
    """Yield a class and its bases within the package."""
    assert isinstance(found.node, ast.ClassDef)
    yield found
    for base in found.node.bases:
        above = find(found.module.name, ast.unparse(base).partition("[")[0])
        if above is not None and isinstance(above.node, ast.ClassDef):
            yield from family(above)


def bases(node: ast.ClassDef) -> list[str]:
    """Return those bases of a class that say something to a caller."""
    names = [ast.unparse(base) for base in node.bases]
    return [name for name in names if name.partition("[")[0] in _BASES_SHOWN or name.endswith("Error")]


def fields(found: Found) -> Iterator[Field]:
    """Yield the public values of objects of a class: declared, properties, and set by `__init__`."""
    assert isinstance(found.node, ast.ClassDef)
    for node in found.node.body:
        if isinstance(node, ast.AnnAssign) and not ast.unparse(node.target).startswith("_"):
            default = "" if node.value is None else _default(node.value)
            about = comment(found.module, node.lineno)
            yield Field(ast.unparse(node.target), _type(node.annotation), default, about)
    for method in methods(found):
        if _is_property(method):
            returned = "" if method.returns is None else _type(method.returns)
            yield Field(method.name, returned, "", first_paragraph(method))
    for node in found.node.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            yield from _set_by(node, found.module)


def methods(found: Found) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the public methods of a class, without those for type checkers alone."""
    assert isinstance(found.node, ast.ClassDef)
    for node in found.node.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        marks = [ast.unparse(mark) for mark in node.decorator_list]
        if "overload" not in marks and not any(mark.endswith(".setter") for mark in marks):
            yield node


def calls(found: Found) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the methods of a class that are called, not read."""
    return (method for method in methods(found) if not _is_property(method))


def borrowed(found: Found) -> Iterator[tuple[str, str]]:
    """Yield the methods that are those of another class, as `list = _Blocking(AsyncClient.list)`."""
    assert isinstance(found.node, ast.ClassDef)
    for node in found.node.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            [target] = node.targets
            yield ast.unparse(target), ast.unparse(node.value.args[0])


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str, width: int = 100) -> str:
    """Return a function's signature in the form in which it is called."""
    prefix = "await " if isinstance(node, ast.AsyncFunctionDef) and not _is_generator(node) else ""
    if any(ast.unparse(mark) == "asynccontextmanager" for mark in node.decorator_list):
        prefix = "async with "
    returned = "" if node.returns is None else f" -> {_type(node.returns)}"
    return _wrapped(prefix + name, _parameters(node.args), returned, width)


def constructor(found: Found, name: str) -> str:
    """Return how an object of a class is made; empty for one that callers only receive."""
    node = init(found)
    if node is not None:
        return signature(node, name).removesuffix(" -> None")
    assert isinstance(found.node, ast.ClassDef)
    marks = [ast.unparse(each) for each in [*found.node.decorator_list, *found.node.bases]]
    if not any("dataclass" in mark or mark == "msgspec.Struct" for mark in marks):
        return ""
    keywords = any("kw_only=True" in mark for mark in marks)
    keywords = keywords or any(each.arg == "kw_only" for each in found.node.keywords)
    return _wrapped(name, [*(["*"] if keywords else []), *_declared(found.node)], "", 100)


def init(found: Found) -> ast.FunctionDef | None:
    """Return the `__init__` of a class, its own or that of a base."""
    for each in family(found):
        assert isinstance(each.node, ast.ClassDef)
        for node in each.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                return node
    return None


def doc(node: ast.AST) -> str:
    """Return the docstring of a class or a function."""
    assert isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    return inspect.cleandoc(ast.get_docstring(node) or "")


def first_paragraph(node: ast.AST) -> str:
    """Return the first paragraph of a docstring in one line."""
    return " ".join(doc(node).partition("\n\n")[0].split())


def comment(home: Module, line: int) -> str:
    """Return the comment `#:` that stands above a line."""
    found: list[str] = []
    for above in reversed(home.lines[: line - 1]):
        match = _COMMENT.match(above)
        if match is None:
            break
        found.insert(0, match[1])
    return " ".join(found)


def options_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    """Return the name of the type that a function's `**options` have."""
    last = node.args.kwarg
    if last is None or last.annotation is None:
        return None
    match = re.fullmatch(r"Unpack\[(\w+)\]", ast.unparse(last.annotation))
    return None if match is None else match[1]


def _wrapped(call: str, parts: list[str], returned: str, width: int) -> str:
    line = f"{call}({', '.join(parts)}){returned}"
    if len(line) <= width:
        return line
    return f"{call}(\n" + "".join(f"    {part},\n" for part in parts) + f"){returned}"


def _declared(node: ast.ClassDef) -> Iterator[str]:
    for each in node.body:
        if not isinstance(each, ast.AnnAssign) or "init=False" in ast.unparse(each):
            continue
        name, kind = ast.unparse(each.target), _type(each.annotation)
        default = "" if each.value is None else f" = {_default(each.value)}"
        yield "*" if kind == "KW_ONLY" else f"{name}: {kind}{default}"


def _set_by(init: ast.FunctionDef, home: Module) -> Iterator[Field]:
    given = [*init.args.args, *init.args.kwonlyargs]
    types = {each.arg: _type(each.annotation) for each in given if each.annotation}
    seen: set[str] = set()
    for node in (each for each in ast.walk(init) if isinstance(each, ast.Assign | ast.AnnAssign)):
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        if not isinstance(target, ast.Attribute) or ast.unparse(target.value) != "self":
            continue
        if target.attr.startswith("_") or target.attr in seen:
            continue
        seen.add(target.attr)
        declared = _type(node.annotation) if isinstance(node, ast.AnnAssign) else types.get(target.attr, "")
        yield Field(target.attr, declared, "", comment(home, node.lineno))


def _parameters(given: ast.arguments) -> list[str]:
    positional = [each for each in [*given.posonlyargs, *given.args] if each.arg not in ("self", "cls")]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    parts = [_parameter(each, default) for each, default in zip(positional, defaults, strict=True)]
    if given.posonlyargs and len(given.posonlyargs) > 1:
        parts.insert(len(given.posonlyargs) - 1, "/")
    if given.vararg is not None:
        parts.append("*" + _parameter(given.vararg, None))
    elif given.kwonlyargs:
        parts.append("*")
    pairs = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    parts += [_parameter(each, default) for each, default in pairs]
    if given.kwarg is not None:
        parts.append("**" + _parameter(given.kwarg, None))
    return parts


def _parameter(each: ast.arg, default: ast.expr | None) -> str:
    annotation = "" if each.annotation is None else f": {_type(each.annotation)}"
    if default is None:
        return each.arg + annotation
    value = _default(default)
    return f"{each.arg}{annotation} = {value}" if annotation else f"{each.arg}={value}"


def _type(node: ast.expr) -> str:
    return re.sub(r"Unpack\[(\w+)\]", r"\1", ast.unparse(node).replace("'", ""))


def _default(node: ast.expr) -> str:
    text = ast.unparse(node)
    return "..." if text.startswith(("_", "field(")) else text.replace("'", '"')


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(mark) == "property" for mark in node.decorator_list)


def _is_generator(node: ast.AsyncFunctionDef) -> bool:
    return node.returns is not None and "Async" in ast.unparse(node.returns)
