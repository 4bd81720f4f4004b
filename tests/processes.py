"""Real processes for tests: the sandbox data centre and the daemon, started, asked, stopped and killed."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from pathlib import Path

import aiohttp

PYTHON = sys.executable
SIGNED_IN = "🔑"
"""Begins the wording of the event ``signed_in`` in every language."""
ROOT = Path(__file__).resolve().parent.parent


async def breathe(took=0.0):
    """Between two questions, of which one took so long: without a pause they take a core from whoever is waited for."""
    await asyncio.sleep(min(max(0.01, 2 * took), 0.1))


class Process:
    """A child whose stderr is kept line by line, so that a test can wait for a line instead of sleeping."""

    def __init__(self, arguments, *, env=None, cwd=None):
        self._arguments = arguments
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self.lines: list[str] = []
        self.first_line = ""
        self._news = asyncio.Event()
        self._readers: list[asyncio.Task] = []
        self.process: asyncio.subprocess.Process

    def run_as(self, *prefix):
        """Put a command before the process's own."""
        self._arguments = [*prefix, *self._arguments]

    async def start(self):
        await self.spawn()
        return self

    async def spawn(self):
        self.process = await asyncio.create_subprocess_exec(
            *self._arguments,
            env=self._env,
            cwd=self._cwd,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 22,
        )
        self._readers = [
            asyncio.create_task(self._read(self.process.stderr)),
            asyncio.create_task(self._read(self.process.stdout)),
        ]

    async def _read(self, stream):
        while line := await stream.readline():
            self.take(line)
        self._news.set()

    def take(self, line):
        self.lines.append(line.decode(errors="replace").rstrip("\n"))
        self._news.set()

    @property
    def log(self):
        return "\n".join(self.lines)

    async def line(self, wanted, *, after=0, within=60):
        """The first line after the given index that contains ``wanted``, and its index; fails when the process ends."""
        async with asyncio.timeout(within):
            at = after
            while True:
                while at < len(self.lines):
                    if wanted in self.lines[at]:
                        return at, self.lines[at]
                    at += 1
                if all(reader.done() for reader in self._readers):
                    raise AssertionError(f"the process ended before it said {wanted!r}:\n{self.log}")
                self._news.clear()
                await self._news.wait()

    async def stop(self, sig=signal.SIGTERM, within=15):
        """Send the signal (0: none), wait for the end, answer the exit code."""
        if sig and self.process.returncode is None:
            self.process.send_signal(sig)
        try:
            async with asyncio.timeout(within):
                code = await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise AssertionError(f"not stopped within {within} s:\n{self.log}") from None
        await asyncio.gather(*self._readers)
        if self.process.stdin is not None:
            self.process.stdin.close()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                await self.process.stdin.wait_closed()
        return code

    async def kill(self):
        return await self.stop(signal.SIGKILL)


class SandboxProcess(Process):
    """`python -m sandbox` with its first line read."""

    def __init__(self, *arguments):
        super().__init__([PYTHON, "-m", "sandbox", *map(str, arguments)], cwd=ROOT)

    async def start(self):
        await super().start()
        _, line = await self.line('{"dc"')
        first = json.loads(line)
        self.dc, self.control = first["dc"], first["control"]
        return self

    async def __aenter__(self):
        return await self.start()

    async def __aexit__(self, *_):
        await self.stop()

    async def get(self, path):
        return await http("GET", f"{self.control}{path}")

    async def post(self, path, body):
        return await http("POST", f"{self.control}{path}", body)


class DaemonProcess(Process):
    """`telewarden run` on a free port; ``url`` is where it listens."""

    def __init__(self, state_dir, *, env=None, config=None, python=PYTHON):
        arguments = [python, "-m", "daemon", "run"]
        if config is not None:
            arguments += ["-c", str(config)]
        base = {"TELEWARDEN__STATE_DIR": str(state_dir), "TELEWARDEN__ADMIN__PORT": "0"}
        self.env = {**base, **(env or {})}
        super().__init__(arguments, env=self.env, cwd=ROOT)
        self.url = ""

    def run_in(self, folder):
        """Where it looks for ``telewarden.yaml``."""
        self._cwd = folder

    def run_program(self, program):
        """An installed one instead of this checkout's."""
        self._arguments = [str(program), *self._arguments[3:]]
        self._cwd = None

    async def start(self):
        await super().start()
        at, line = await self.line("http://", within=90)
        while "127.0.0.1" not in line or ("Админка" not in line and "Admin" not in line):
            at, line = await self.line("http://", after=at + 1)
        self.url = re.search(r"http://[0-9.:]+", line)[0]
        return self

    async def __aenter__(self):
        return await self.start()

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            await self.stop()

    async def get(self, path):
        return await http("GET", f"{self.url}{path}")

    async def post(self, path, body=None):
        return await http("POST", f"{self.url}{path}", body)

    async def text(self, path):
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}{path}") as answer:
            return await answer.text()

    async def signed_in(self, users, within=60):
        """Wait until the log has told of that many sign-ins; the users as HTTP tells them."""
        at = -1
        for _ in range(users):
            at, _line = await self.line(SIGNED_IN, after=at + 1, within=within)
        return (await self.get("/users"))["users"]

    async def parse_all(self, wait=60):
        return await self.post(f"/parse/all?wait={wait}")

    async def cli(self, *arguments):
        """Run `telewarden …` against this daemon; (exit code, stdout, stderr)."""
        process = await asyncio.create_subprocess_exec(
            PYTHON, "-m", "daemon", *arguments, "--url", self.url,
            env=self._env, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


async def http(method, url, body=None):
    """JSON in, JSON out; an answer of 400 or more fails the test with its text."""
    async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as answer:
        text = await answer.text()
        assert answer.status < 400, f"{method} {url} answered {answer.status}: {text}"
        return json.loads(text) if text else None
