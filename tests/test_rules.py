"""The directions of docs/architecture.md: import-linter's contracts, and over the AST what it can't express.

Imports inside functions and ``import_module("…")`` count like any other. Each rule has code that it must catch.
"""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pykka
import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("actors", "config", "daemon", "sandbox")
PYKKA_HOOKS = {
    name
    for name in dir(pykka.Actor)
    if name.startswith("_") and not name.startswith("__") and name not in ("_abc_impl", "_stop")
}
"""Pykka's private methods; ``_stop`` is everybody's word and left to the name of the import."""


def within(module: str, *places: str) -> bool:
    """Whether the module is one of the places, or lies below one that is a package."""
    return any(module == place or module.startswith(f"{place}.") for place in places)


def bound_names(tree: ast.AST) -> dict[str, str]:
    """Local name -> what was imported under it, anywhere in the module."""
    names = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    names[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            case ast.ImportFrom(module=str(module)):
                names |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names}
    return names


def uses(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every imported thing that the module names, fully qualified, with its line."""
    names = bound_names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from ((alias.name, node.lineno) for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)
            case ast.Attribute():
                chain, inner = [node.attr], node.value
                while isinstance(inner, ast.Attribute):
                    chain.append(inner.attr)
                    inner = inner.value
                if isinstance(inner, ast.Name) and inner.id in names:
                    yield ".".join([names[inner.id], *reversed(chain)]), node.lineno
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]
            ) if called in ("import_module", "__import__"):
                yield name, node.lineno


def private(used: str) -> bool:
    return any(part.startswith("_") and not part.endswith("__") for part in used.split(".")[1:])


def web_only_in_the_faces(module, tree):
    if not within(module, "daemon.admin", "sandbox.control"):
        for used, line in uses(tree):
            if used.startswith("aiohttp.web"):
                yield line, f"{used} belongs to daemon/admin/ and sandbox/control.py"


def telethon_at_its_border(module, tree):
    at_border = within(module, "actors.account", "actors.bot", "actors.telegram", "sandbox")
    for used, line in uses(tree):
        if within(used, "telethon") and not at_border:
            yield line, f"{used} belongs to actors/account.py, actors/bot.py, actors/telegram/ and sandbox/"
        elif within(used, "telethon") and private(used) and not within(module, "actors.telegram", "sandbox"):
            yield line, f"{used} is private: only actors/telegram/ knows it"


def constructors_in_the_codec(module, tree):
    """Telegram's content is spelled in two places; the protocol's own messages in the three that speak it."""
    speakers = ("sandbox.codec", "sandbox.methods", "sandbox.handshake", "sandbox.session", "sandbox.dispatch")
    if within(module, "sandbox") and not within(module, *speakers):
        for used, line in uses(tree):
            if within(used, "telethon.tl.types", "telethon.tl.functions", "telethon.types", "telethon.functions"):
                yield line, f"{used} belongs to sandbox/codec/ and sandbox/methods/"


def asyncpg_in_the_store(module, tree):
    if not within(module, "daemon.store"):
        for used, line in uses(tree):
            if within(used, "asyncpg"):
                yield line, f"{used} belongs to daemon/store/"


def pykkas_hooks_in_the_runtime(module, tree):
    if within(module, "actors.runtime"):
        return
    for used, line in uses(tree):
        if within(used, "pykka") and private(used):
            yield line, f"{used} is private: only actors/runtime/ knows it"
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if (
                name in PYKKA_HOOKS
            ):
                yield node.lineno, f"{name} is Pykka's hook: only actors/runtime/ touches it"


LOOP_MAKERS = (
    "asyncio.run",
    "asyncio.Runner",
    "asyncio.new_event_loop",
    "asyncio.run_coroutine_threadsafe",
    "threading",
)


def one_loop_one_maker(module, tree):
    if not within(module, "actors.runtime", "sandbox.__main__"):
        for used, line in uses(tree):
            if within(used, *LOOP_MAKERS, "_thread", "asyncio.runners", "asyncio.events.new_event_loop"):
                yield line, f"{used} belongs to actors/runtime/ and sandbox/__main__.py"


def defects_pass(module, tree):
    if within(module, "actors.runtime", "actors.supervisor", "daemon.__main__", "sandbox"):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = [None] if node.type is None else [getattr(name, "id", "") for name in ast.walk(node.type)]
            last = node.body[-1]
            # What tidies up and raises again hides no defect.
            if {None, "Exception", "BaseException"} & set(caught) and not (
                isinstance(last, ast.Raise) and last.exc is None
            ):
                yield node.lineno, "catching everything belongs to actors/runtime/, the supervisor and __main__.py"


ABOVE = {
    "config": ("actors", "daemon", "sandbox"),
    "actors": ("daemon", "sandbox"),
    "daemon": ("sandbox",),
    "sandbox": ("config", "actors", "daemon"),
}


def downwards_only(module, tree):
    folder = module.partition(".")[0]
    for used, line in uses(tree):
        if within(used, *ABOVE[folder]):
            yield line, f"{folder} never imports {used.partition('.')[0]}"
        for one, other in (("actors.channel", "actors.account"), ("actors.account", "actors.channel")):
            if module == one and within(used, other):
                yield line, f"{one} and {other} share messages, not code"


def handlers_are_total(_module, tree):
    """A handler matches over its whole union: mypy finds the forgotten case where ``assert_never`` stands last."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name not in (
            "on_receive",
            "on_control",
        ):
            continue
        matches = [inner for inner in ast.walk(node) if isinstance(inner, ast.Match)]
        for match in matches:
            last = match.cases[-1]
            ends = ast.unparse(last.body[-1])
            wild = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
            if not wild or not ends.removeprefix("return ").startswith(("assert_never(", f"super().{node.name}(")):
                yield match.lineno, f"{node.name} ends its match with assert_never, or hands the rest to super()"
        types = [
            inner for inner in ast.walk(node) if isinstance(inner, ast.Call) and ast.unparse(inner.func) == "isinstance"
        ]
        if types:
            yield types[0].lineno, f"{node.name} matches instead of asking for types"


RULES = (
    handlers_are_total,
    web_only_in_the_faces,
    telethon_at_its_border,
    constructors_in_the_codec,
    asyncpg_in_the_store,
    pykkas_hooks_in_the_runtime,
    one_loop_one_maker,
    defects_pass,
    downwards_only,
)


def named(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def modules() -> list[tuple[Path, ast.Module]]:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_code_keeps_the_rule(rule):
    assert len(modules()) > 20
    broken = [
        f"{path.relative_to(ROOT)}:{line}: {text}" for path, tree in modules() for line, text in rule(named(path), tree)
    ]
    assert broken == []


@pytest.mark.parametrize(
    ("rule", "module", "code"),
    [
        (web_only_in_the_faces, "daemon.app", "from aiohttp import web"),
        (web_only_in_the_faces, "actors.metrics", "import aiohttp\ndef late():\n    return aiohttp.web.Application()"),
        (web_only_in_the_faces, "sandbox.dispatch", "from aiohttp.web import Response"),
        (web_only_in_the_faces, "daemon.administration", "import aiohttp.web_runner"),
        (telethon_at_its_border, "daemon.cli", "def late():\n    import telethon"),
        (telethon_at_its_border, "actors.channel", "from telethon.tl import types"),
        (telethon_at_its_border, "config.load", "import importlib\nimportlib.import_module('telethon.tl')"),
        (telethon_at_its_border, "actors.bot", "from telethon._updates import messagebox"),
        (telethon_at_its_border, "actors.account", "import telethon as t\nt.client._base"),
        (constructors_in_the_codec, "sandbox.hub", "from telethon.tl import types"),
        (constructors_in_the_codec, "sandbox.world", "from telethon.tl.types import Message"),
        (asyncpg_in_the_store, "daemon.app", "def late():\n    from asyncpg import Pool"),
        (asyncpg_in_the_store, "daemon.storekeeper", "import asyncpg.exceptions as e"),
        (pykkas_hooks_in_the_runtime, "actors.channel", "from pykka._envelope import Envelope"),
        (pykkas_hooks_in_the_runtime, "daemon.app", "import pykka\npykka.messages._ActorStop()"),
        (pykkas_hooks_in_the_runtime, "actors.account", "class A:\n    def _actor_loop(self): ..."),
        (pykkas_hooks_in_the_runtime, "actors.roster", "actor._handle_receive(message)"),
        (one_loop_one_maker, "daemon.app", "import asyncio\nasyncio.run(main())"),
        (one_loop_one_maker, "actors.account", "from asyncio import new_event_loop as make"),
        (one_loop_one_maker, "sandbox.client", "import asyncio as aio\naio.run_coroutine_threadsafe(c, loop)"),
        (one_loop_one_maker, "daemon.admin.server", "def late():\n    from threading import Thread"),
        (one_loop_one_maker, "daemon.cli", "import asyncio\nwith asyncio.Runner() as runner: ..."),
        (defects_pass, "actors.account", "try: x()\nexcept Exception: pass"),
        (defects_pass, "daemon.store.posts", "try: x()\nexcept (OSError, BaseException) as e: log(e)"),
        (defects_pass, "config.load", "try: x()\nexcept: pass"),
        (defects_pass, "daemon.app", "try: x()\nexcept Exception as e:\n    raise Other from e"),
        (handlers_are_total, "actors.bot", "def on_receive(self, m):\n match m:\n  case Save(): pass"),
        (handlers_are_total, "actors.bot", "def on_receive(self, m):\n match m:\n  case _: return None"),
        (handlers_are_total, "actors.bot", "def on_control(self, m):\n if isinstance(m, Save): self.save()"),
        (downwards_only, "config.load", "def late():\n    from actors.log import emit"),
        (downwards_only, "actors.supervisor", "import importlib\nimportlib.import_module('daemon.store')"),
        (downwards_only, "daemon.app", "import sandbox.world"),
        (downwards_only, "sandbox.world", "from config import model"),
        (downwards_only, "actors.channel", "def late():\n    from actors import account"),
    ],
)
def test_what_breaks_the_rule_is_caught(rule, module, code):
    assert list(rule(module, ast.parse(code)))


@pytest.mark.parametrize(
    ("rule", "module", "code"),
    [
        (web_only_in_the_faces, "daemon.admin.server", "from aiohttp import web"),
        (web_only_in_the_faces, "daemon.http", "import aiohttp\naiohttp.ClientSession()"),
        (telethon_at_its_border, "actors.telegram.updates", "from telethon._updates import messagebox"),
        (telethon_at_its_border, "actors.account", "import telethon\ntelethon.__version__"),
        (constructors_in_the_codec, "sandbox.codec.media", "from telethon.tl import types"),
        (constructors_in_the_codec, "sandbox.envelope", "from telethon.extensions import BinaryReader"),
        (pykkas_hooks_in_the_runtime, "actors.channel", "class C:\n    def _stop(self): ..."),
        (pykkas_hooks_in_the_runtime, "actors.runtime.actor", "from pykka._envelope import Envelope"),
        (one_loop_one_maker, "actors.account", "import asyncio\nasyncio.get_running_loop(); asyncio.timeout(1)"),
        (one_loop_one_maker, "sandbox.__main__", "import asyncio\nasyncio.run(main())"),
        (defects_pass, "daemon.store.pool", "try: x()\nexcept BaseException:\n    tidy()\n    raise"),
        (defects_pass, "daemon.__main__", "try: x()\nexcept Exception: pass"),
        (handlers_are_total, "actors.bot", "def on_receive(self, m):\n match m:\n  case _: assert_never(m)"),
        (handlers_are_total, "actors.bot", "def on_control(self, m):\n self.on_receive(m)"),
        (downwards_only, "daemon.app", "from actors import log\nfrom config import load"),
        (downwards_only, "sandbox.world", "from sandbox.codec import read"),
    ],
)
def test_what_keeps_the_rule_passes(rule, module, code):
    assert not list(rule(module, ast.parse(code)))


def test_the_import_contracts_are_kept():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
