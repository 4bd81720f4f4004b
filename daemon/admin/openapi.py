"""The API's description, OpenAPI 3.1: made of the routes, the parameters and the models that requests are read by."""

import inspect
from collections.abc import Iterable
from importlib import metadata
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from daemon.admin.access import Role
from daemon.admin.problem import MEDIA_TYPE
from daemon.admin.routes import JSON, Route

PAGES = frozenset({"text/html", "text/css"})
REFERENCE = "#/components/schemas/{model}"
EVERY = {
    400: "The request makes no sense; `detail` says what to change.",
    401: "Who asks isn't known: send a token.",
    403: "Who asks may not do this, or asks from where nobody may.",
    503: "The daemon can't answer just now; `Retry-After` says when to ask again.",
}
SOME = {
    404: "There is nothing of that name here.",
    409: "It can't be done as things stand; `detail` says why.",
    413: "The body is too large.",
    417: "An `Expect` header that isn't understood.",
    422: "It was understood, and refused; `detail` says by whom and why.",
    429: "Telegram wants a wait, which `Retry-After` tells.",
}
SUCCESS = {200: "Done.", 201: "Made.", 202: "Accepted: it goes on; `Location` is where to ask for it."}
PATH = {
    "user_id": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
    "invite_id": {"type": "integer", "minimum": 1},
    "token_id": {"type": "integer", "minimum": 1},
    "alert_id": {"type": "integer", "minimum": 1},
    "post_id": {"type": "integer", "minimum": 1},
}
"""Of path parameters; others are text."""
PROBLEM = {
    "type": "object",
    "description": "RFC 9457. Further members say more: `field` or `parameter` which part of the request is meant.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
    },
    "required": ["type", "title", "status", "detail"],
}
ABOUT = """\
All of the daemon over HTTP. Without a token only `admin.trusted_peers` are served, as operator; others, and whoever
wants to be more, send `Authorization: Bearer TOKEN`. Roles: a viewer looks, an operator runs the collection, an admin
decides who may do what. Times are in UTC. Errors are `application/problem+json`. A POST with an `Idempotency-Key` is
done once: whoever repeats it within a day gets the first answer again. Unknown parameters and fields are errors."""


class _Types:
    """JSON schemas of Python's types, each once."""

    def __init__(self, routes: Iterable[Route]) -> None:
        inputs: dict[Any, tuple[Any, Literal["validation", "serialization"], TypeAdapter[Any]]] = {}
        for route in routes:
            if route.body is not None:
                inputs["body", route.body] = ("body", route.body), "validation", TypeAdapter(route.body)
            if route.answer is not None:
                inputs["answer", route.answer] = ("answer", route.answer), "serialization", TypeAdapter(route.answer)
        self._of: Any
        self._of, found = TypeAdapter.json_schemas(inputs.values(), ref_template=REFERENCE, schema_generator=_Schemas)
        self.components: dict[str, Any] = found.get("$defs", {})

    def body(self, route: Route) -> Any:
        return self._of[("body", route.body), "validation"]

    def answer(self, route: Route) -> Any:
        return self._of[("answer", route.answer), "serialization"]


class _Schemas(GenerateJsonSchema):
    """Answers leave nothing out: a field with a default is there too."""

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: FBT001 - pydantic's own signature
        answered = self.mode == "serialization" and field["type"] == "dataclass-field"
        return answered or super().field_is_required(field, total)


def described(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document; pages for people are left out."""
    shown = [route for route in routes if route.role is not Role.GUEST and route.media not in PAGES]
    types = _Types(shown)
    paths: dict[str, Any] = {}
    for route in shown:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, types)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Telewarden", "version": metadata.version("telewarden"), "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": {**types.components, "Problem": PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _operation(route: Route, types: _Types) -> dict[str, Any]:
    summary, _, more = inspect.cleandoc(route.handler.__doc__ or "").partition("\n\n")
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": PATH.get(name, {"type": "string", "minLength": 1}),
        }
        for name in path_parameters(route.path)
    ]
    parameters += [
        {
            "name": param.name,
            "in": "query",
            "required": param.required,
            "description": param.about,
            "schema": param.schema,
        }
        for param in route.query
    ]
    if route.method == "POST":
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Whoever repeats a request with the same key gets the first answer again.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
            }
        )
    told: dict[str, Any] = {
        "summary": " ".join(summary.split()),
        "operationId": f"{route.method.lower()}{route.path}".replace("/", "_").replace("{", "").replace("}", ""),
        "tags": [route.path.split("/")[1].partition(".")[0] or "/"],
        "x-role": route.role.name.lower(),
        "parameters": parameters,
        "responses": _responses(route, types),
    }
    if more:
        told["description"] = more
    if route.body is not None:
        required = any(field.is_required() for field in route.body.model_fields.values())
        told["requestBody"] = {"required": required, "content": {JSON: {"schema": types.body(route)}}}
    return told


def path_parameters(path: str) -> list[str]:
    return [step[1:-1] for step in path.split("/") if step.startswith("{")]


def _responses(route: Route, types: _Types) -> dict[str, Any]:
    schema = {} if route.answer is None else {"schema": types.answer(route)}
    responses: dict[str, Any] = {
        str(status): {"description": SUCCESS[status], "content": {route.media: schema}} for status in route.status
    }
    problems = dict(EVERY)
    if path_parameters(route.path):
        problems[404] = SOME[404]
    if route.method in {"POST", "PUT"}:
        problems |= {409: SOME[409], 413: SOME[413], 422: SOME[422]}
    problems |= {status: SOME[status] for status in route.problems}
    content = {MEDIA_TYPE: {"schema": {"$ref": REFERENCE.format(model="Problem")}}}
    for status, about in sorted(problems.items()):
        responses.setdefault(str(status), {"description": about, "content": content})
    return responses
