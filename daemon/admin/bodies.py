"""JSON bodies: each is a model, which validates what comes and describes it."""

from typing import Annotated, Any, TypeVar

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from daemon.admin.problem import Problem
from daemon.admin.routes import ROUTE_OF, Handler


class Body(BaseModel):
    """A JSON object of these fields and no others; none is taken for another kind than it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


B = TypeVar("B", bound=BaseModel)


def _is_text(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError("must be a text that isn't empty")
    return text


Text = Annotated[str, Field(min_length=1, max_length=20_000), AfterValidator(_is_text)]
"""As it is: a password may begin or end with a blank."""


async def body(request: web.Request, model: type[B]) -> B:
    """The body as ``model``; an empty one is an empty object. Raises: ``Problem`` 400 that names the field."""
    try:
        return model.model_validate_json(await request.read() or b"{}")
    except ValidationError as invalid:
        raise _problem(invalid.errors(include_url=False, include_input=False), model) from None
    except web.RequestPayloadError:
        raise Problem(400, "The body can't be read: it isn't as its headers say") from None


@web.middleware
async def no_body(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What nobody reads is refused, so that a field at the wrong route isn't taken for heard. ``{}`` says nothing."""
    route = request.app[ROUTE_OF].get(request.match_info.route)
    takes_none = route is not None and route.answer is not None and route.body is None
    if takes_none and request.body_exists and (await request.read()).strip() not in {b"", b"{}"}:
        raise Problem(400, f"{request.method} {request.path[:200]} takes no body: see /docs for what it takes")
    return await handler(request)


def _problem(errors: list[Any], model: type[BaseModel]) -> Problem:
    """Of the first fault; that of a field before that of all together."""
    error = errors[0]
    fields = ", ".join(f'"{name}"' for name in model.model_fields)
    shape = f"a JSON object with the fields {fields}" if fields else "an empty JSON object"
    where = ".".join(str(step) for step in error["loc"])
    if not where:
        text = _text(error) if error["type"] == "value_error" else f"must be {shape}"
        return Problem(400, f"The body {text}")
    match error["type"]:
        case "missing":
            return Problem(400, f"The body must be {shape}: {where!r} is missing", field=where)
        case "extra_forbidden":
            return Problem(400, f"The body's field {where!r} is unknown: there are {fields or 'none'}", field=where)
    return Problem(400, f"The field {where!r} {_text(error)}", field=where)


def _text(error: Any) -> str:
    """What is wrong, as the end of a sentence."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    limits = error.get("ctx", {})
    match error["type"]:
        case "literal_error":
            return f"must be one of {limits['expected'].replace(chr(39), '').replace(' or ', ', ')}"
        case "bool_type":
            return "must be true or false"
        case "int_type" | "int_from_float":
            return "must be a whole number"
        case "string_type" | "string_too_short":
            return "must be a text that isn't empty"
    message = str(error["msg"])
    return message.replace("Input should be", "must be").replace("String should", "must")
