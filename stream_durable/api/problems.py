"""Errors as problem details (RFC 9457), each with a code, the cause and the remedy."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from stream_durable.core.errors import RejectedError, StreamDurableError, TransientError
from stream_durable.core.words import without_prefix
from stream_durable.telemetry import API_FAILED, logger

_log = logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"

#: What a refusal means over HTTP; any other one is a request that makes no sense.
_STATUSES: Final[dict[str, HTTPStatus]] = {
    "already_answered": HTTPStatus.CONFLICT,
    "already_claimed": HTTPStatus.CONFLICT,
    "forbidden": HTTPStatus.FORBIDDEN,
    "id_taken": HTTPStatus.CONFLICT,
    "no_page": HTTPStatus.NOT_FOUND,
    "not_asked": HTTPStatus.CONFLICT,
    "not_failed": HTTPStatus.CONFLICT,
    "not_found": HTTPStatus.NOT_FOUND,
    "not_signed_in": HTTPStatus.UNAUTHORIZED,
    "not_held": HTTPStatus.CONFLICT,
    "not_redrivable": HTTPStatus.CONFLICT,
    "not_open": HTTPStatus.CONFLICT,
    "not_stopped": HTTPStatus.CONFLICT,
    "not_waiting": HTTPStatus.CONFLICT,
    "other_run": HTTPStatus.CONFLICT,
    "run_exists": HTTPStatus.CONFLICT,
    "schedule_exists": HTTPStatus.CONFLICT,
    "token_exists": HTTPStatus.CONFLICT,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too_many_operations": HTTPStatus.TOO_MANY_REQUESTS,
    "wrong_host": HTTPStatus.MISDIRECTED_REQUEST,
}
_UNKNOWN: Final = "unknown_"
_UNFIT: Final = "invalid_"
_SCHEMAS: Final = "#/components/schemas/{model}"
_REMEDIES: Final = {
    HTTPStatus.NOT_FOUND: "the lists and /api/v1/openapi.json name what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "the header `allow` and /api/v1/openapi.json name the methods",
    HTTPStatus.BAD_REQUEST: "correct the request; /api/v1/openapi.json describes it",
    HTTPStatus.UNPROCESSABLE_ENTITY: "correct the fields in `errors`; /api/v1/openapi.json describes them",
    HTTPStatus.SERVICE_UNAVAILABLE: "try again later; `stream-durable status` shows what is wrong",
    HTTPStatus.INTERNAL_SERVER_ERROR: "see the log of this process, and report it",
    HTTPStatus.UNAUTHORIZED: "`stream-durable api-tokens create` makes one: `Authorization: Bearer`",
    HTTPStatus.FORBIDDEN: "`stream-durable api-tokens create` makes a token with another role",
}


class FieldError(BaseModel):
    """An unusable field."""

    #: Where it is, such as `body.reason` or `query.limit`.
    field: str
    message: str


class Problem(BaseModel):
    """The cause of a failed request, with the remedy."""

    type: str
    title: str
    status: int
    #: Stable, for programs.
    code: str
    #: For people: what is wrong.
    cause: str
    #: For people: what helps.
    remedy: str
    #: Cause and remedy in one text.
    detail: str
    errors: list[FieldError]


def problem(
    status: HTTPStatus, code: str, text: str, errors: list[FieldError] | None = None, **headers: str
) -> Response:
    """Return the answer for an error; its text gives the remedy after the last colon, if at all."""
    return _problem(status, code, text, _divided(code, text, _otherwise(status)), errors, **headers)


def _problem(
    status: HTTPStatus, code: str, text: str, divided: tuple[str, str],
    errors: list[FieldError] | None = None, **headers: str,
) -> Response:  # fmt: skip
    cause, remedy = divided
    made = Problem(
        type=f"urn:stream-durable:problem:{code}", title=status.phrase, status=status, code=code, cause=cause,
        remedy=remedy, detail=text, errors=errors or [],
    )  # fmt: skip
    return Response(
        msgspec.json.encode(made.model_dump()),
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        MEDIA_TYPE,
    )


def of(error: StreamDurableError) -> Response:
    """Return the answer for an error of ours."""
    if isinstance(error, RejectedError):
        return problem(_status_of(error.code), error.code, str(error))
    if isinstance(error, TransientError):
        status, text = HTTPStatus.SERVICE_UNAVAILABLE, str(error)
        return _problem(status, error.code, text, _of_a_moment(text, _otherwise(status)), retry_after="5")
    _log.error(API_FAILED, reason=str(error), exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, error.code, "an invariant does not hold")


def answer_errors(app: FastAPI) -> None:
    """Answer every error of an app with problem details."""
    app.add_exception_handler(StreamDurableError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_anything)


async def _of_ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, StreamDurableError)
    return of(error)


async def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldError(field=".".join(map(str, one["loc"])), message=without_prefix(one["msg"]))
        for one in error.errors()
    ]
    text = "; ".join(f"{one.field}: {one.message}" for one in errors)
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    is_json = request.headers.get("content-type", "").partition(";")[0].strip().lower().endswith("json")
    remedy = _otherwise(status)
    if not is_json and any(one.field.partition(".")[0] == "body" for one in errors):
        remedy = "send the body as JSON, with the header `content-type: application/json`"
    return _problem(status, "bad_request", text, (text, remedy), errors)


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    text = f"{request.method} {request.url.path[:200]}: {status.phrase.lower()}"
    made = _problem(status, status.phrase.lower().replace(" ", "_"), text, (text, _otherwise(status)))
    made.headers.update(error.headers or {})
    return made


async def _of_anything(_: Request, error: Exception) -> Response:
    _log.error(API_FAILED, reason=type(error).__name__, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "the request failed by a fault of ours")


def _status_of(code: str) -> HTTPStatus:
    if code.startswith(_UNKNOWN):
        return HTTPStatus.NOT_FOUND
    return _STATUSES.get(code, HTTPStatus.BAD_REQUEST)


def _otherwise(status: HTTPStatus) -> str:
    return _REMEDIES.get(status, "correct the request")


def _divided(code: str, text: str, otherwise: str) -> tuple[str, str]:
    """Return cause and remedy: the remedy comes after the last colon, except for unfit values."""
    if code.startswith(_UNFIT):
        return text, otherwise
    cause, colon, remedy = text.rpartition(": ")
    return (cause, remedy) if colon and " " in remedy else (text, otherwise)


def _of_a_moment(text: str, otherwise: str) -> tuple[str, str]:
    """Return cause and remedy of what may pass: most such texts end with what a driver says."""
    cause, _, remedy = text.rpartition(": ")
    return (cause, remedy) if remedy.startswith("try again") else (text, otherwise)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the errors of a route for the document.

    By reference, without a model: routes would build one for each error of each route.
    """
    content = {MEDIA_TYPE: {"schema": {"$ref": _SCHEMAS.format(model=Problem.__name__)}}}
    return {status: {"content": content, "description": HTTPStatus(status).phrase} for status in statuses}


def schemas() -> dict[str, Any]:
    """Return the schemas referred to by the errors of routes."""
    made = Problem.model_json_schema(ref_template=_SCHEMAS)
    return {**made.pop("$defs"), Problem.__name__: made}
