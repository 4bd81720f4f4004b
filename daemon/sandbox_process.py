"""The sandbox data centre as a subprocess of the daemon: `make run` needs no Telegram credentials."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from config.model import Datacenter, Sandbox

READY_WITHIN = 60.0
"""Seconds for the sandbox to make its world and answer its first line."""
STOP_WITHIN = 2.0


class SandboxFailed(Exception):
    """The sandbox didn't start, or answered nonsense; the text says where its log is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxAccount:
    account_id: int
    username: str | None
    first_name: str | None
    last_name: str | None
    bot_token: str | None


class SandboxProcess:
    """Runs `python -m sandbox`; it ends when this process does, even by kill -9, because its stdin ends."""

    def __init__(self, settings: Sandbox, world_dir: Path) -> None:
        self._settings = settings
        self._state_dir = world_dir / "datacenter"
        self._log = world_dir / "sandbox.log"
        self._process: asyncio.subprocess.Process | None = None
        self.control = ""

    async def start(self) -> Datacenter:
        """Start it and answer where its data centre listens. Raises: SandboxFailed."""
        with self._log.open("ab") as log_file:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "sandbox", *self._arguments(),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log_file,
                start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(READY_WITHIN):
                line = await self._process.stdout.readline()
        except TimeoutError as error:
            raise SandboxFailed(f"the sandbox wasn't ready within {READY_WITHIN:.0f} s; see {self._log}") from error
        if not line:
            raise SandboxFailed(f"the sandbox ended at once: {self._last_words()}")
        first = json.loads(line)
        self.control = first["control"]
        return Datacenter(**first["dc"])

    def _arguments(self) -> list[str]:
        settings = self._settings
        arguments = [
            "--accounts", str(settings.accounts), "--channels", str(settings.channels), "--posts", str(settings.posts),
            "--rate", str(settings.rate), "--seed", str(settings.seed), "--state", str(self._state_dir), "--until-eof",
        ]  # fmt: skip
        if settings.posts_dir is not None:
            arguments += ["--posts-dir", str(settings.posts_dir)]
        return arguments

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else f"no word in {self._log}"

    async def accounts(self) -> tuple[SandboxAccount, ...]:
        world = await self._get("world")
        return tuple(
            SandboxAccount(
                account_id=account["id"], username=account.get("username"), first_name=account.get("first_name"),
                last_name=account.get("last_name"), bot_token=account.get("token") if account.get("bot") else None,
            )
            for account in world["accounts"]
        )  # fmt: skip

    async def session(self, account_id: int) -> dict[str, Any]:
        """The account's ready session; the same key each time, so that a restart keeps its session."""
        return await self._get(f"sessions/{account_id}?key=telewarden")

    async def _get(self, path: str) -> dict[str, Any]:
        async with aiohttp.ClientSession() as http, http.get(f"{self.control}/{path}") as answer:
            body = await answer.read()
            if answer.status != 200:
                raise SandboxFailed(f"the sandbox answered {answer.status} to /{path}: {body.decode(errors='replace')}")
            world: dict[str, Any] = orjson.loads(body)
            return world

    async def stop(self) -> None:
        """End it: SIGTERM, then SIGKILL. Nothing is lost, its journal is written before each push."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
