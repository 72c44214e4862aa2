"""An app carries workflows, and is found by its name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import shop

from stream_durable import App, DefinitionError
from stream_durable.sdk.errors import LoadError, NotCarriedError
from stream_durable.sdk.load import load_app


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory of the test's own, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refusal(target: str) -> tuple[str, str]:
    with pytest.raises(LoadError) as caught:
        load_app(target)
    return caught.value.code, str(caught.value)


def test_an_app_knows_its_workflows_and_their_functions() -> None:
    assert shop.app.definitions() == (shop.orders.definition(),)
    assert shop.app.workflows == {"order": shop.orders}
    assert shop.app.handler("order", "charge").function is shop.charge.function


def test_a_function_that_the_app_does_not_carry_is_named() -> None:
    with pytest.raises(
        NotCarriedError, match="^app 'shop' has no function for step 'pay' of workflow 'order'$"
    ):
        shop.app.handler("order", "pay")


def test_an_app_is_found_in_a_module_of_the_current_directory(here: Path) -> None:
    (here / "my_shop.py").write_text("from shop import app")

    assert isinstance(load_app("my_shop:app"), App)
    assert load_app("my_shop:app") is shop.app


@pytest.mark.parametrize("target", ["", "shop", "shop:", ":app", "shop:app:x", "a b:app", "shop:a.b"])
def test_a_target_of_another_form_is_refused(target: str) -> None:
    assert refusal(target) == (
        "bad_target",
        f"cannot load {target!r}: it is not of the form module:attribute\nWrite, for example, shop:app.",
    )


def test_a_file_in_place_of_a_module_is_refused_with_the_module() -> None:
    assert refusal("src/shop.py:app")[0] == "bad_target"
    assert refusal("shop.py:app") == (
        "bad_target",
        "cannot load 'shop.py:app': it names a file, not a module\nWrite shop:app.",
    )


def test_a_module_that_is_not_there_is_named(here: Path) -> None:
    assert refusal("nowhere.shop:app") == (
        "no_module",
        (
            f"cannot load 'nowhere.shop:app': there is no module 'nowhere', neither in {here} nor among "
            "what is installed\nRun it from the directory of the module, or install it."
        ),
    )


def test_a_module_that_needs_what_is_not_installed_is_another_matter(here: Path) -> None:
    (here / "my_shop.py").write_text("import bank_of_nowhere")

    assert refusal("my_shop:app") == (
        "import_failed",
        (
            "cannot load 'my_shop:app': module 'my_shop' needs 'bank_of_nowhere', which is missing\n"
            "Install it into the environment that runs this command."
        ),
    )


def test_a_module_that_fails_says_why(here: Path) -> None:
    (here / "my_shop.py").write_text("1 / 0")

    assert refusal("my_shop:app") == (
        "import_failed",
        (
            "cannot load 'my_shop:app': importing module 'my_shop' failed: ZeroDivisionError: division by "
            "zero (my_shop.py:1)\nMend it until `python -c 'import my_shop'` works."
        ),
    )


def test_faults_of_a_definition_are_told_as_they_are(here: Path) -> None:
    (here / "my_shop.py").write_text(
        "from stream_durable import *\napp = App('shop', workflows=[Workflow('order')])"
    )

    with pytest.raises(DefinitionError, match=r"my_shop\.py:2: workflow 'order' has no steps"):
        load_app("my_shop:app")


def test_an_attribute_that_is_not_there_or_no_app_is_told_with_what_there_is(here: Path) -> None:
    (here / "my_shop.py").write_text("from shop import app as shop_app, orders")
    (here / "my_orders.py").write_text("from shop import orders")

    assert refusal("my_shop:app") == (
        "no_attribute",
        "cannot load 'my_shop:app': module 'my_shop' has no 'app'\nIt has my_shop:shop_app.",
    )
    assert refusal("my_orders:orders") == (
        "not_an_app",
        (
            "cannot load 'my_orders:orders': 'orders' in module 'my_orders' is of type Workflow, not an App\n"
            'Define one there: app = App("shop", workflows=[...]).'
        ),
    )
