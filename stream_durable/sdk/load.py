"""Finds the author's app by the name given on a command line."""

from __future__ import annotations

import importlib
import sys
import sysconfig
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from stream_durable.sdk.app import App
from stream_durable.sdk.errors import DefinitionError, LoadError


def load_app(target: str) -> App:
    """Return the app at `module:attribute`, such as `shop:app`, importing from the current directory too.

    Faults of workflows raise `DefinitionError`.
    """
    module_name, _, attribute = target.partition(":")
    if not (attribute.isidentifier() and all(map(str.isidentifier, module_name.split(".")))):
        cause = "it is not of the form module:attribute"
        raise LoadError("bad_target", target, cause, "Write, for example, shop:app.")
    if module_name.endswith(".py"):
        cause = "it names a file, not a module"
        raise LoadError("bad_target", target, cause, f"Write {module_name[:-3]}:{attribute}.")
    module = _module(module_name, target)
    if not hasattr(module, attribute):
        raise LoadError(
            "no_attribute", target, f"module {module_name!r} has no {attribute!r}", _apps_in(module)
        )
    found = getattr(module, attribute)
    if not isinstance(found, App):
        cause = f"{attribute!r} in module {module_name!r} is of type {type(found).__name__}, not an App"
        raise LoadError("not_an_app", target, cause, _apps_in(module))
    return found


def _module(name: str, target: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except DefinitionError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            cause = f"there is no module {error.name!r}, neither in {here} nor among what is installed"
            raise LoadError(
                "no_module", target, cause, "Run it from the directory of the module, or install it."
            ) from None
        remedy = "Install it into the environment that runs this command."
        raise LoadError(
            "import_failed", target, f"module {name!r} needs {error.name!r}, which is missing", remedy
        ) from error
    except Exception as error:  # whatever the author's module does when it is imported
        cause = f"importing module {name!r} failed: {type(error).__name__}: {error}{_place(error)}"
        raise LoadError(
            "import_failed", target, cause, f"Mend it until `python -c 'import {name}'` works."
        ) from error


def _place(error: Exception) -> str:
    """Return the last line of the author's own code in the error's trace."""
    if isinstance(error, SyntaxError):
        return ""  # it names its place itself
    libraries = ("<", str(Path(__file__).parents[1]), *sysconfig.get_paths().values())
    frames = [f for f in extract_tb(error.__traceback__) if not f.filename.startswith(libraries)]
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""


def _apps_in(module: ModuleType) -> str:
    names = [f"{module.__name__}:{name}" for name, value in vars(module).items() if isinstance(value, App)]
    if names:
        return f"It has {', '.join(names)}."
    return 'Define one there: app = App("shop", workflows=[...]).'
