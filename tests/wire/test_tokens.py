"""Tokens: what they name, who may make them, and what is refused."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_durable.core.errors import RejectedError
from stream_durable.wire.tokens import LENGTH_MAX, NO_TOKENS, Named, Tokens

ONE, TWO = "1" * 32, "2" * 32


def code_of(tokens: Tokens, token: object) -> str:
    with pytest.raises(RejectedError) as caught:
        tokens.read(token)
    assert "sdt_ey" not in str(caught.value)
    assert ONE not in str(caught.value) and TWO not in str(caught.value)
    return caught.value.code


@given(st.text(min_size=1, max_size=500), st.text(min_size=1, max_size=128), st.integers(1, 2**31 - 1))
def test_a_token_names_a_run_a_step_and_an_attempt(run: str, step: str, attempt: int) -> None:
    tokens = Tokens([ONE])
    token = tokens.sign(run, step, attempt)
    assert token.isascii() and token.startswith("sdt_")
    assert tokens.read(token) == Named(run, step, attempt)
    assert tokens.sign(run, step, attempt) == token


def test_the_longest_ids_fit() -> None:
    tokens = Tokens([ONE])
    token = tokens.sign("\x01" * 512, "s" * 128, 2**31 - 1)
    assert tokens.read(token) == Named("\x01" * 512, "s" * 128, 2**31 - 1)
    assert len(token) < LENGTH_MAX


@given(st.data())
def test_no_change_of_a_token_is_accepted(data: st.DataObject) -> None:
    tokens = Tokens([ONE])
    token = tokens.sign("order-42", "delivered", 1)
    at = data.draw(st.integers(4, len(token) - 1))
    other = data.draw(st.characters(max_codepoint=0x17F).filter(lambda c: c != token[at]))
    changed = token[:at] + other + token[at + 1 :]
    assert code_of(tokens, changed) in ("bad_token", "forged_token")


def test_the_same_bytes_in_another_spelling_are_another_token() -> None:
    tokens = Tokens([ONE])
    token = next(
        found for number in range(100) if "_" in (found := tokens.sign(f"order-{number}", "delivered", 1))[4:]
    )

    assert tokens.read(token)
    assert code_of(tokens, token[:4] + token[4:].replace("_", "/")) in ("bad_token", "forged_token")


@pytest.mark.parametrize("token", ["", "sdt_", "order-42", "sdt_a.b", "sdt_é.x", 7, None, "sdt_xxxx"])
def test_what_is_no_token_is_refused(token: object) -> None:
    assert code_of(Tokens([ONE]), token) in ("bad_token", "forged_token")


def test_a_text_that_is_put_together_is_forged() -> None:
    body = urlsafe_b64encode(b'["order-42","delivered",1]').rstrip(b"=").decode()
    assert code_of(Tokens([ONE]), f"sdt_{body}.{'A' * 43}") == "forged_token"
    assert code_of(Tokens([ONE]), f"sdt_{body}.") == "forged_token"
    assert code_of(Tokens([ONE]), f"sdt_{body}") == "forged_token"


def test_the_first_secret_signs_and_all_are_accepted() -> None:
    old, both, new = Tokens([ONE]), Tokens([TWO, ONE]), Tokens([TWO])
    before, after = old.sign("r", "s", 1), both.sign("r", "s", 1)

    assert both.read(before) == both.read(after) == new.read(after)
    assert code_of(new, before) == "forged_token"
    assert code_of(old, after) == "forged_token"


def test_another_instance_does_not_accept_them() -> None:
    assert code_of(Tokens([ONE], "b"), Tokens([ONE], "a").sign("r", "s", 1)) == "forged_token"


def test_without_a_secret_nothing_is_signed_or_accepted() -> None:
    with pytest.raises(RejectedError, match="STREAM_DURABLE_SECURITY__TOKEN_SECRETS") as caught:
        NO_TOKENS.sign("r", "s", 1)
    assert caught.value.code == "no_token_secret"
    assert code_of(NO_TOKENS, Tokens([ONE]).sign("r", "s", 1)) == "no_token_secret"
    assert not NO_TOKENS.can_sign


def test_it_shows_no_secret() -> None:
    assert ONE not in repr(Tokens([ONE]))


def test_a_huge_text_is_refused_without_a_look_at_it() -> None:
    assert code_of(Tokens([ONE]), "sdt_" + "A" * LENGTH_MAX) == "bad_token"
