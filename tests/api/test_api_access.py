"""Who may do what: every route without a token, with too low a role, and without sight of payloads."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from api_flows import SECRET, fails, orders
from api_site import V1, Site, finish

from stream_durable import api_tokens
from stream_durable.api.app import document, make_app
from stream_durable.api.callers import ROLES
from stream_durable.ports import StoredApiToken
from stream_durable.testing.engine import Engine

DOCUMENT: dict[str, Any] = document(make_app(lambda: None))  # type: ignore[arg-type,return-value]
#: Answered to anybody: it is how a browser gets in, and out.
SESSION = f"{V1}/session"
ROUTES = [
    (method.upper(), path, operation["x-role"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if path != SESSION
]
FILLED = {"run": "order-1", "step": "reserve", "wait": "approve", "name": "order", "signal": "payment"}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Engine.memory() as engine:
        engine.deploy(orders, fails)
        site = Site(engine, is_open=False)
        site.secrets = {  # type: ignore[attr-defined]
            name: make(site, name, role, sees=sees)
            for name, role, sees in (
                ("viewer", "viewer", True),
                ("operator", "operator", True),
                ("admin", "admin", True),
                ("blind", "admin", False),
            )  # fmt: skip
        }
        boss = bearer(site, "admin")
        site.post(
            "/runs",
            {"workflow": "order", "id": "order-1", "input": {"id": SECRET}, "metadata": {"note": SECRET}},
            headers=boss,
        )
        site.post("/runs", {"workflow": "fails", "id": "fails-1", "input": SECRET}, headers=boss)
        finish(engine.until_asked(engine.run("order-1"), "approve"))
        site.post("/inputs/order-1/approve/comment", {"text": f"see {SECRET}"}, headers=boss)
        site.post("/events", {"event": "stock", "key": "1", "data": SECRET}, headers=boss)
        site.post("/events", {"event": "stock", "key": "2", "data": SECRET, "after": "9d"}, headers=boss)
        site.post(
            "/schedules",
            {"name": "order", "workflow": "order", "input": {"id": SECRET}, "cron": ["0 3 * * *"]},
            headers=boss,
        )
        site.post("/runs/order-1/pause", {"reason": "a reason"}, headers=boss)
        finish(engine.until_idle())
        yield site


def make(site: Site, name: str, role: Any, *, sees: bool, expires: int | None = None) -> str:
    token = StoredApiToken(name, role, sees, site.engine.now_ms, expires, None)
    return site.engine.tell(lambda: api_tokens.create(site.tokens, token))


def bearer(site: Site, name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {site.secrets[name]}"}  # type: ignore[attr-defined]


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: FILLED.get(m.group(1), "1"), path)


@pytest.mark.parametrize(("method", "path", "role"), ROUTES)
def test_every_route_refuses_whoever_has_no_token(site: Site, method: str, path: str, role: str) -> None:
    for headers in ({}, {"Authorization": "Bearer sdt_guessed"}, {"Cookie": "stream_durable_token=guessed"}):
        answer = site.ask(method, filled(path), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


@pytest.mark.parametrize(("method", "path", "role"), [r for r in ROUTES if r[2] != "viewer"])
def test_every_route_refuses_a_role_that_is_too_low(site: Site, method: str, path: str, role: str) -> None:
    lower = ROLES[ROLES.index(role) - 1]  # type: ignore[arg-type]
    answer = site.ask(method, filled(path), headers=bearer(site, lower))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("path", [path for method, path, _ in ROUTES if method == "GET"])
def test_no_route_shows_payloads_to_whoever_may_not_see_them(site: Site, path: str) -> None:
    for query in ("", "?evidence=true", "?step=explode"):
        for run in ("order-1", "fails-1"):
            shown = site.ask("GET", filled(path.replace("{run}", run)) + query, headers=bearer(site, "blind"))
            assert shown.status_code < 500
            assert SECRET not in shown.text


def test_whoever_may_see_payloads_does(site: Site) -> None:
    boss = bearer(site, "admin")
    for path in (
        "/runs/order-1", "/runs/order-1/attempts", "/inputs", "/inputs/order-1/approve", "/events", "/later",
        "/schedules/order", "/runs/fails-1/result", "/runs/fails-1/why",
    ):  # fmt: skip
        assert SECRET in site.ask("GET", V1 + path, headers=boss).text, path


def test_steps_have_the_same_fields_with_and_without_sight_of_payloads(site: Site) -> None:
    for path in ("/runs/order-1", "/runs/fails-1"):
        seen, blind = (site.get(path, headers=bearer(site, who)) for who in ("admin", "blind"))
        for steps in ("steps", "helpers"):
            whole, parts = ([list(step) for step in run[steps]] for run in (seen, blind))
            assert whole == parts
        secret = {"output", "clause", "label", "waits_for", "asked", "failure", "reviews"}
        for step, other in zip(seen["steps"], blind["steps"], strict=True):
            assert {k: v for k, v in step.items() if k not in secret} == {
                k: v for k, v in other.items() if k not in secret
            }


def test_what_is_hidden_says_its_type_and_size(site: Site) -> None:
    run = site.get("/runs/order-1", headers=bearer(site, "blind"))
    assert run["input"] == {"hidden": "object", "bytes": 20}


@pytest.mark.parametrize("path", ["/runs", "/runs/count", "/runs/statuses"])
def test_payloads_are_not_found_letter_by_letter(site: Site, path: str) -> None:
    answer = site.ask("GET", f"{V1}{path}?input_text=walrus", headers=bearer(site, "blind"))
    assert answer.status_code == 403
    body = {"act": "cancel", "dry_run": True, "filter": {"input_text": "walrus"}}
    assert site.ask("POST", f"{V1}/operations", json=body, headers=bearer(site, "blind")).status_code == 403


def test_a_token_that_is_revoked_or_has_expired_is_refused(site: Site) -> None:
    gone = make(site, "gone", "viewer", sees=False)
    late = make(site, "late", "viewer", sees=False, expires=1)
    assert site.engine.tell(lambda: site.tokens.revoke("gone", 1))
    for secret in (gone, late):
        answer = site.ask("GET", f"{V1}/me", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 401


def test_secrets_are_kept_as_hashes_and_never_shown(site: Site) -> None:
    kept = repr(site.tokens._tokens) + site.ask("GET", f"{V1}/tokens", headers=bearer(site, "admin")).text
    assert not [secret for secret in site.secrets.values() if secret in kept]  # type: ignore[attr-defined]


def test_a_token_is_made_read_once_and_revoked(site: Site) -> None:
    boss = bearer(site, "admin")
    body = {"name": "eve/two", "role": "operator", "payloads": True, "expires": "90d"}
    made = site.ask("POST", f"{V1}/tokens", json=body, headers=boss)
    assert made.status_code == 201
    own = {"Authorization": f"Bearer {made.json()['secret']}"}
    assert site.get("/me", headers=own) == {"name": "eve/two", "role": "operator", "may_see_payloads": True}
    again = site.ask("POST", f"{V1}/tokens", json=body, headers=boss)
    assert (again.status_code, again.json()["code"]) == (409, "token_exists")
    listed = site.ask("GET", f"{V1}/tokens", headers=boss)
    [shown] = [one for one in listed.json()["tokens"] if one["name"] == "eve/two"]
    assert shown["expires"] > shown["created"]
    assert made.json()["secret"] not in listed.text
    path = f"{V1}/tokens/eve%2Ftwo"
    assert site.ask("DELETE", path, headers=boss).json() == {"name": "eve/two"}
    gone = site.ask("DELETE", path, headers=boss)
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_token")
    [shown] = [one for one in site.get("/tokens", headers=boss)["tokens"] if one["name"] == "eve/two"]
    assert shown["revoked"]


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"name": "a", "role": "king"}, {"name": "a", "expires": "soon"}, {"name": "a\n"}]
)
def test_a_token_that_cannot_be_is_refused(site: Site, body: dict[str, Any]) -> None:
    answer = site.ask("POST", f"{V1}/tokens", json=body, headers=bearer(site, "admin"))
    assert answer.status_code in (400, 422)
    assert answer.json()["remedy"]


def test_what_somebody_does_is_written_under_the_name_of_the_token(site: Site) -> None:
    run = site.get("/runs/order-1", headers=bearer(site, "viewer"))
    assert (run["requests"]["pause"]["by"], run["requests"]["pause"]["reason"]) == ("admin", "a reason")
    changes = site.get("/inputs/order-1/approve", headers=bearer(site, "viewer"))["changes"]
    assert changes[0]["by"] == "admin"


def test_a_browser_signs_in_by_a_cookie_out_of_reach_of_scripts(site: Site) -> None:
    secret = site.secrets["operator"]  # type: ignore[attr-defined]
    assert site.ask("POST", SESSION, json={"token": "sdt_guessed"}).status_code == 401
    answer = site.ask("POST", SESSION, json={"token": secret})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    sent = {"Cookie": f"stream_durable_token={secret}"}
    assert site.get("/me", headers=sent)["name"] == "operator"
    write = site.ask("POST", f"{V1}/runs/order-1/resume", json={}, headers=sent)
    assert write.status_code == 403
    own = sent | {"X-Stream-Durable": "page"}
    foreign = own | {"Origin": "https://elsewhere.example"}
    assert site.ask("POST", f"{V1}/runs/order-1/resume", json={}, headers=foreign).status_code == 403
    assert site.ask("POST", f"{V1}/runs/order-1/resume", json={}, headers=own).status_code == 202
    assert "Max-Age=0" in site.ask("DELETE", SESSION, headers=own).headers["set-cookie"]


@pytest.mark.parametrize("role", ROLES)
def test_whoever_is_signed_in_signs_out_and_in_as_somebody_else(site: Site, role: str) -> None:
    own = {"Cookie": f"stream_durable_token={site.secrets[role]}", "X-Stream-Durable": "page"}  # type: ignore[attr-defined]
    answer = site.ask("POST", SESSION, json={"token": site.secrets["admin"]}, headers=own)  # type: ignore[attr-defined]
    assert answer.json()["name"] == "admin"
    assert site.ask("DELETE", SESSION, headers=own).status_code == 200


class TestOpenToThisMachine:
    @pytest.fixture
    def local(self) -> Iterator[Site]:
        with Engine.memory() as engine:
            yield Site(engine)

    @pytest.mark.parametrize("host", ["localhost:8400", "127.0.0.1", "[::1]:8400"])
    def test_names_of_loopback_need_nothing(self, local: Site, host: str) -> None:
        assert local.ask("GET", f"{V1}/me", host=host).json()["role"] == "admin"

    @pytest.mark.parametrize("host", ["rebound.example", "rebound.example:8400", "10.0.0.7"])
    def test_any_other_name_is_refused(self, local: Site, host: str) -> None:
        answer = local.ask("GET", f"{V1}/me", host=host)
        assert (answer.status_code, answer.json()["code"]) == (421, "wrong_host")

    @pytest.mark.parametrize(
        "headers", [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}]
    )
    def test_a_write_from_a_page_of_another_site_is_refused(
        self, local: Site, headers: dict[str, str]
    ) -> None:
        answer = local.ask("POST", f"{V1}/events", json={"event": "e", "key": "k"}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")

    def test_a_wrong_token_is_no_way_around(self, local: Site) -> None:
        answer = local.ask("GET", f"{V1}/me", headers={"Authorization": "Bearer sdt_guessed"})
        assert answer.status_code == 401

    def test_every_answer_has_the_headers_that_keep_others_out(self, local: Site) -> None:
        for path in (f"{V1}/me", "/", "/runs/order-1", f"{V1}/nothing"):
            headers = local.ask("GET", path).headers
            assert "script-src" not in headers["content-security-policy"]
            assert headers["content-security-policy"].startswith("default-src 'self';")
            assert headers["x-content-type-options"] == "nosniff"


def test_a_view_of_the_page_is_the_page_and_a_missing_route_is_none() -> None:
    with Engine.memory() as engine:
        site = Site(engine)
        site.app = site.make(find=None, is_open=True, base_path="/durable")
        for path in ("/", "/runs/order-1", "/durable/inputs"):
            assert site.ask("GET", path).headers["content-type"].startswith("text/html")
        assert site.ask("GET", "/durable/api/v1/me").json()["name"] == "local"
        assert site.ask("GET", "/assets/none.js").status_code == 404
        assert site.ask("GET", "/assets/..%2f..%2fapp.py").status_code == 404
        assert site.ask("GET", "/healthz").json() == {"status": "ok"}


def test_the_page_of_a_run_lets_the_browser_ask_for_the_run_at_once() -> None:
    with Engine.memory() as engine:
        site = Site(engine)
        site.app = site.make(find=None, is_open=True, base_path="/durable")
        for part in ("order-1", "a%2Fb%20c", "it's(1)", "%C3%A9%22%3E%0D%0A"):
            link = site.ask("GET", f"/runs/{part}").headers["link"]
            assert link.startswith(f"</durable/api/v1/runs/{part}>; rel=preload; as=fetch;")
        for path in ("/", "/runs", "/inputs", "/runs/order-1/more"):
            assert "link" not in site.ask("GET", path).headers
