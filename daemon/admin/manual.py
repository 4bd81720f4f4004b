"""The API's description: for programs as OpenAPI, for people as one page without a script."""

import asyncio
import json
from functools import cache
from html import escape
from typing import Any

import orjson
from aiohttp import web

from daemon.admin import openapi
from daemon.admin.access import Role
from daemon.admin.asking import query
from daemon.admin.routes import JSON, ROUTE_OF, Route

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 14px/1.5 ui-monospace, monospace; }
pre { overflow: auto; padding: .6rem; border: 1px solid #8885; border-radius: .3rem; }
summary { cursor: pointer; padding: .3rem 0; }
summary b { display: inline-block; min-width: 4.5rem; }
small { opacity: .75; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .1rem .8rem .1rem 0; vertical-align: top; }
"""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
}


@cache
def _described(routes: tuple[Route, ...]) -> tuple[bytes, str]:
    """As JSON and as a page: both are the same as long as the program runs."""
    document = openapi.described(routes)
    return orjson.dumps(document), drawn(document)


async def _of(request: web.Request) -> tuple[bytes, str]:
    # Some tenths of a second, which neither the start nor the loop need wait for.
    return await asyncio.to_thread(_described, tuple(dict.fromkeys(request.app[ROUTE_OF].values())))


async def description(request: web.Request) -> web.Response:
    """This description, as OpenAPI 3.1."""
    query(request)
    return web.Response(body=(await _of(request))[0], content_type=JSON)


async def page(request: web.Request) -> web.Response:
    """This description, to be read."""
    query(request)
    return web.Response(text=(await _of(request))[1], content_type="text/html", headers=HEADERS)


async def style(request: web.Request) -> web.Response:
    """What the page looks like."""
    query(request)
    return web.Response(text=STYLE, content_type="text/css")


def drawn(document: dict[str, Any]) -> str:
    """The document as one page; every text is escaped."""
    schemas = document["components"]["schemas"]
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, told in operations.items():
            by_tag.setdefault(told["tags"][0], []).append(_operation(method.upper(), path, told))
    info = document["info"]
    chapters = "".join(f"<h2>{escape(tag)}</h2>{''.join(told)}" for tag, told in sorted(by_tag.items()))
    types = "".join(
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>'
        for name, schema in sorted(schemas.items())
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<link rel="stylesheet" href="/docs/style.css"><title>Telewarden API</title></head><body>'
        f"<h1>Telewarden API {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        f'<p><a href="/openapi.json">openapi.json</a></p>{chapters}<h2>Types</h2>{types}</body></html>'
    )


def _operation(method: str, path: str, told: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{each['in']}</td>"
        f"<td>{'Required. ' if each['required'] else ''}{escape(each.get('description', ''))} "
        f"<small>{escape(_short(each['schema']))}</small></td></tr>"
        for each in told["parameters"]
    )
    body = told.get("requestBody")
    sent = f"<p>Body: {_type(body['content'][JSON]['schema'])}</p>" if body else ""
    answers = "".join(
        f"<tr><td><code>{status}</code></td><td>{escape(each['description'])}</td>"
        f"<td>{' '.join(_type(content.get('schema', {})) for content in each['content'].values())}</td></tr>"
        for status, each in told["responses"].items()
    )
    more = f"<p>{escape(told['description'])}</p>" if "description" in told else ""
    return (
        f"<details><summary><b>{method}</b> <code>{escape(path)}</code> "
        f"{escape(told['summary'])} <small>{escape(told['x-role'])}</small></summary>{more}"
        f"{f'<table>{rows}</table>' if rows else ''}{sent}<table>{answers}</table></details>"
    )


def _type(schema: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    if name:
        return f'<a href="#{escape(name)}"><code>{escape(name)}</code></a>'
    return f"<code>{escape(_short(schema))}</code>" if schema else ""


def _short(schema: dict[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False)[:200]


def _json(schema: dict[str, Any]) -> str:
    return f"<pre>{escape(json.dumps(schema, ensure_ascii=False, indent=1))}</pre>"


ROUTES = (
    Route("GET", "/openapi.json", description, Role.VIEWER, dict[str, Any]),
    Route("GET", "/docs", page, Role.VIEWER, media="text/html"),
    Route("GET", "/docs/style.css", style, Role.VIEWER, media="text/css"),
)
