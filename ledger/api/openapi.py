"""The OpenAPI document of the operations, as plain data: made from them, never by hand."""

import re
from collections import defaultdict
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ledger import api_reasons as why
from ledger import people
from ledger.api import models
from ledger.api.calls import Operation
from ledger.api.clients import OF_ROLES
from ledger.api.operations import OPERATIONS

VERSION = "1.0.0"
PROBLEM = "application/problem+json"
_SCHEMAS = "#/components/schemas/"
_ABOUT = (
    "Money is whole fen, times are seconds since 1970. Whatever changes the books may be asked"
    " again until there is an answer: it is done once. A refusal is a problem (RFC 9457) whose"
    " `reason` has one meaning for ever."
)
# Why any operation may be refused; those that read a body or a query, for more.
_OF_TOKEN = (why.NO_TOKEN, why.NOT_ALLOWED, people.NO_SESSION, people.NOT_FOR_ROLE)
_ANY = (
    why.TOO_OFTEN,
    why.OUR_FAULT,
    why.BOOKS_UNAVAILABLE,
    why.TOO_SLOW,
)
_OF_BODY = (why.NOT_JSON, why.TOO_LARGE, why.BAD_FIELDS)
_OF_QUERY = (why.BAD_FIELDS,)


def document() -> dict[str, Any]:
    """The whole document, OpenAPI 3.1."""
    used = {models.Problem, models.Health}
    for operation in OPERATIONS:
        used |= {one for one in (operation.answer, operation.body) if isinstance(one, type)}
    ordered = sorted(used, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, "validation") for model in ordered], ref_template=_SCHEMAS + "{model}"
    )
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in OPERATIONS:
        paths[operation.path][operation.method.lower()] = _operation(operation)
    for path, about in (("/healthz", "The process answers."), ("/readyz", "So do the books.")):
        paths[path]["get"] = _health(path, about)
    return {
        "openapi": "3.1.0",
        "info": {"title": "onecard ledger", "version": VERSION, "description": _ABOUT},
        "paths": dict(paths),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def reasons_of(operation: Operation) -> tuple[int, ...]:
    """Every number that a refusal of an operation may have."""
    of_input = _OF_BODY if operation.body else _OF_QUERY if operation.query else ()
    of_token = () if operation.scope is None else _OF_TOKEN
    return (*_ANY, *of_token, *of_input, *operation.reasons)


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.name.replace("_", " "),
        "description": f"{operation.about} {_who(operation)}",
        "security": [] if operation.scope is None else [{"token": []}],
        "responses": {
            "200": _answer(operation),
            **_refusals(reasons_of(operation)),
        },
    }
    parameters = [*_path(operation), *_query(operation)]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        schema = {"$ref": _SCHEMAS + operation.body.__name__}
        content = {"application/json": {"schema": schema}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answer(operation: Operation) -> dict[str, Any]:
    about, answer = "Done, or as it is.", operation.answer
    if isinstance(answer, str):
        schema = {"type": "string", "format": "binary"}
        return {"description": about, "content": {answer: {"schema": schema}}}
    return _content(answer, about, "application/json")


def _who(operation: Operation) -> str:
    if operation.scope is None:
        return "Without a token."
    roles = ", ".join(OF_ROLES.get(operation.scope, ()))
    return f"Scope: `{operation.scope}`; of operators: {roles or 'none'}."


def _path(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _part(name)}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]


def _part(name: str) -> dict[str, Any]:
    return models.PATH_PARTS[name].json_schema()


def _query(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    fields = operation.query.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": _given(schema)}
        for name, schema in fields.items()
    ]


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """In a query nothing is null: it is left out."""
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    return options[0]


def _health(path: str, about: str) -> dict[str, Any]:
    refusals = _refusals((why.BOOKS_UNAVAILABLE, why.TOO_SLOW)) if path == "/readyz" else {}
    answer = _content(models.Health, about, "application/json")
    described = {"operationId": path[1:], "summary": about, "responses": {"200": answer}}
    described["responses"] |= refusals
    return described


def _refusals(reasons: tuple[int, ...]) -> dict[str, Any]:
    by_status: dict[int, list[int]] = defaultdict(list)
    for reason in sorted(set(reasons)):
        by_status[why.TEXTS[reason][0]].append(reason)
    return {
        str(status): _content(
            models.Problem,
            "; ".join(f"{reason}: {why.TEXTS[reason][1]}" for reason in same),
            PROBLEM,
        )
        for status, same in sorted(by_status.items())
    }


def _content(model: type[BaseModel], about: str, kind: str) -> dict[str, Any]:
    content = {kind: {"schema": {"$ref": _SCHEMAS + model.__name__}}}
    return {"description": about, "content": content}
