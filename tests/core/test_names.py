"""Names that no author gives are put together and taken apart in one place, and in one way."""

import pytest

from stream_durable.core import names


@pytest.mark.parametrize(
    ("name", "defined", "helped", "kind"),
    [
        ("resize", "resize", None, None),
        (names.member(names.group_name("resize", 1), 3), "resize", None, None),
        (names.member(names.group_name("resize", 2), "left"), "resize", None, None),
        (names.undo_name("resize"), "resize", "resize", "compensate"),
        (names.undo_name("resize~2[3]"), "resize", "resize~2[3]", "compensate"),
        (names.hook_name("on_failure"), "", "", "on_failure"),
        (names.hook_name("on_attempt_fail", "resize", 2), "resize", "resize", "on_attempt_fail"),
    ],
)
def test_a_name_says_what_it_is_of(name: str, defined: str, helped: str | None, kind: str | None) -> None:
    assert names.defined_name(name) == defined
    assert names.is_helper(name) is (helped is not None)
    assert names.is_member(name) is name.endswith("]")
    assert names.is_undo(name) is (kind == "compensate")
    assert names.is_made(name) is (name != "resize")
    if helped is not None:
        assert (names.helped(name), names.helper_kind(name)) == (helped, kind)


@pytest.mark.parametrize("name", ["a[0", "a]", "a~b"])
def test_an_author_cannot_give_such_a_name_to_a_member(name: str) -> None:
    assert not names.may_name_member(name)
