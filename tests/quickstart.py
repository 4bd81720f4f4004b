"""README's quick start for an operator's own account, walked word for word: the sandbox stands in for Telegram, and the
QR code is read off the terminal.

    python -m tests.quickstart            # in this checkout
    make quickstart                       # in fresh clones; for root also as an ordinary user

Says how long it took from the beginning to the first row, and exits 1 when something isn't as README says.
"""

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import zxingcpp

from tests.processes import ROOT, SandboxProcess, http

SECTION = "## Your own accounts"
WITHIN = 180.0
"""Seconds from a clean machine to the first row, of which an installation takes most."""
NOBODY = 65534
DOT = 6
"""Pixels of one module of a QR code."""


def section():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.partition(SECTION + "\n")[2].partition("\n## ")[0]


def blocks(language):
    """The section's blocks of that language, as they stand there."""
    for found in re.finditer(rf"^( *)```{language}\n(.*?)^ *```", section(), re.MULTILINE | re.DOTALL):
        yield "\n".join(line.removeprefix(found[1]) for line in found[2].splitlines()) + "\n"


def commands():
    """What is to be typed, comments and all."""
    return [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines() if line[:2] == "$ "]


def scanned(picture):
    """The text of a QR code that was drawn in half blocks; None where there is none."""
    rows = []
    for line in picture.splitlines():
        if set(line) <= set("█▀▄ ") and "█" in line:
            rows += [[each in "█▀" for each in line], [each in "█▄" for each in line]]
    if not rows:
        return None
    width = max(map(len, rows))
    lines = (b"".join((b"\xff" if dot else b"\0") * DOT for dot in row + [False] * (width - len(row))) for row in rows)
    pixels = memoryview(b"".join(line * DOT for line in lines)).cast("B", (len(rows) * DOT, width * DOT))
    found = zxingcpp.read_barcodes(pixels)
    return found[0].text if found else None


class Shell:
    """Runs README's lines as somebody, in a folder, with the sandbox where Telegram would be."""

    def __init__(self, folder, sandbox, *, uid=None):
        dc, self._folder, self._sandbox = sandbox.dc, folder, sandbox
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._env = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("TELEWARDEN", "PYTEST", "MAKE"))
            },
            "HOME": str(folder),
            "TELEWARDEN__ADMIN__PORT": str(self.port),
            "TELEWARDEN__TELEGRAM__DATACENTER__ID": str(dc["id"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__ADDRESS": dc["address"],
            "TELEWARDEN__TELEGRAM__DATACENTER__PORT": str(dc["port"]),
            "TELEWARDEN__TELEGRAM__DATACENTER__PUBLIC_KEY": dc["public_key"],
        }
        self._as = [] if uid is None else ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        self.daemon = None
        self.said = ""

    async def begin(self, line):
        # exec: the line's own process is the one that is asked to stop.
        return await asyncio.create_subprocess_exec(
            *self._as, "sh", "-c", f"exec {line}", cwd=self._folder, env=self._env, limit=1 << 22,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def type(self, line):
        """Type one line, and wait until what it promises is there."""
        line, _, _ = line.partition("  #")
        if line.rstrip().endswith("&"):
            self.daemon = await self.begin(line.rstrip().removesuffix("&"))
            await self._until(self.daemon.stderr, f"http://127.0.0.1:{self.port}", within=90)
            return
        process = await self.begin(line)
        if "--qr" in line:
            await self._scan(process)
        out, err = await asyncio.wait_for(process.communicate(), WITHIN)
        self.said = out.decode()
        if process.returncode:
            raise AssertionError(f"{line!r} ended with {process.returncode}:\n{self.said}{err.decode()}")

    async def _until(self, stream, wanted, within):
        said = []
        async with asyncio.timeout(within):
            while line := (await stream.readline()).decode():
                said.append(line)
                if wanted in line:
                    return
        raise AssertionError(f"{wanted!r} wasn't said:\n{''.join(said)}")

    async def _scan(self, process):
        """Hold a phone to the terminal."""
        picture = ""
        async with asyncio.timeout(60):
            while "scan this code" not in picture:
                line = (await process.stderr.readline()).decode()
                assert line, picture
                picture += line
        link = scanned(picture)
        assert link is not None, f"no QR code can be read:\n{picture}"
        assert link.startswith("tg://login?token="), link
        account = next(each for each in (await self._sandbox.get("/world"))["accounts"] if not each["bot"])
        await self._sandbox.post("/tokens", {"account": account["id"], "token": link})

    async def first_row(self):
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(AssertionError, OSError):
                    channels = (await http("GET", f"http://127.0.0.1:{self.port}/channels"))["channels"]
                    for channel in (each for each in channels if each["posts"]):
                        return (await http("GET", f"http://127.0.0.1:{self.port}/posts?channel={channel['id']}"))[
                            "posts"
                        ]
                await asyncio.sleep(0.1)

    async def end(self):
        if self.daemon is not None and self.daemon.returncode is None:
            self.daemon.send_signal(signal.SIGTERM)
            await asyncio.wait_for(self.daemon.communicate(), 20)


async def walk(folder, *, uid=None):
    """README's lines in this folder; the posts that there are then."""
    (settings,) = blocks("yaml")
    (folder / "telewarden.yaml").write_text(settings, encoding="utf-8")
    if uid is not None:
        os.chown(folder / "telewarden.yaml", uid, uid)
    async with SandboxProcess("--accounts", 2, "--channels", 3, "--posts", 60, "--seed", 4) as sandbox:
        shell = Shell(folder, sandbox, uid=uid)
        try:
            for line in commands():
                # Where there is no checkout, what it would install is there already.
                if not line.startswith("make ") or (folder / "Makefile").exists():
                    await shell.type(line)
            assert "authenticated=True" in shell.said, shell.said
            return await shell.first_row()
        finally:
            await shell.end()


def clone(folder, *, uid=None):
    """A fresh clone with nothing installed."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    if uid is not None:
        subprocess.run(["chown", "-R", f"{uid}:{uid}", str(folder)], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", action="store_true", help="in a fresh clone, with an installation of its own")
    parser.add_argument("--ordinary", action="store_true", help="as an ordinary user; takes root")
    given = parser.parse_args()
    uid = NOBODY if given.ordinary else None
    with tempfile.TemporaryDirectory(prefix="quickstart-") as temporary:
        Path(temporary).chmod(0o755)
        folder, began = Path(temporary) / "telewarden", time.monotonic()
        if given.fresh:
            clone(folder, uid=uid)
        else:
            folder.mkdir()
            (folder / ".venv").symlink_to(Path(sys.prefix))
        posts = asyncio.run(walk(folder, uid=uid))
        took = time.monotonic() - began
        shutil.rmtree(folder)
    who = "an ordinary user" if given.ordinary else "this user"
    told = f"{len(posts)} posts of the first channel, {took:.0f} s from the beginning to the first row"
    sys.stdout.write(f"As {who}: {told}\n")
    return 0 if took <= WITHIN else 1


if __name__ == "__main__":
    sys.exit(main())
