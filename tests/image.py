"""Replays the image's steps where no Docker engine runs: each RUN and COPY of the first stage in a clean folder.

    make image          # make lint holds the Dockerfile and compose against their linters

The image's absolute paths become paths below the folder; what only makes users and folders of the second stage is left
out. Then the program that was made is asked what the image asks of it: its version, valid settings, and its health.
"""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.processes import ROOT, DaemonProcess

PLACES = ("/opt/telewarden", "/opt/build", "/src")


def instructions(text):
    """Instructions with their arguments, lines joined, comments and empty lines left out."""
    text = re.sub(r"(?m)^\s*#.*\n", "", text)
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name, rest.strip()


def below(folder, text):
    return re.sub("|".join(map(re.escape, PLACES)), lambda found: str(folder / found[0][1:]), text)


def build(folder):
    """The first stage."""
    source, env = folder / "src", {"PATH": os.environ["PATH"], "HOME": str(folder)}
    source.mkdir(parents=True)
    (folder / "opt").mkdir()
    stages = 0
    for name, rest in instructions((ROOT / "Dockerfile").read_text(encoding="utf-8")):
        stages += name == "FROM"
        if stages > 1:
            return
        match name:
            case "ENV":
                env.update(part.split("=", 1) for part in shlex.split(rest))
            case "COPY":
                *what, to = rest.split()
                for each in what:
                    place = source / to / Path(each).name if to.endswith("/") or len(what) > 1 else source / to
                    copy = shutil.copytree if (ROOT / each).is_dir() else shutil.copy
                    copy(ROOT / each, place, **({"ignore": ignored} if (ROOT / each).is_dir() else {}))
            case "RUN":
                command = re.sub(r"\bpython -m venv\b", f"{sys.executable} -m venv", below(folder, rest))
                sys.stdout.write(f"RUN {rest[:100]}\n")
                sys.stdout.flush()
                subprocess.run(["sh", "-ec", command], cwd=source, env=env, check=True)


def ignored(_, names):
    return [name for name in names if name == "__pycache__" or name.endswith(".pyc")]


async def check(folder):
    """What was built is asked as the image asks it."""
    program = folder / "opt" / "telewarden" / "bin" / "telewarden"
    for arguments in (("version",), ("check",), ("install-service",)):
        done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=True)
        assert done.stdout, arguments
    assert not list((folder / "opt" / "telewarden").glob("lib/*/site-packages/pip")), "the image needs no pip"
    assert (folder / "opt" / "telewarden" / "share" / "telewarden" / "sbom.cdx.json").exists()
    config = folder / "telewarden.yaml"
    config.write_text("sandbox: {enabled: true, accounts: 1, channels: 1, posts: 5}\n", encoding="utf-8")
    daemon = DaemonProcess(folder / "data", config=config)
    daemon.run_program(program)
    async with daemon:
        await daemon.signed_in(1)
        health = await asyncio.create_subprocess_exec(program, "health", "--url", daemon.url)
        assert await health.wait() == 0


def main():
    with tempfile.TemporaryDirectory(prefix="image-") as temporary:
        folder = Path(temporary)
        build(folder)
        asyncio.run(check(folder))
        size = sum(path.stat().st_size for path in (folder / "opt" / "telewarden").rglob("*") if path.is_file())
    sys.stdout.write(f"The image's steps work; what they add to Python's own image are {size / 2**20:.0f} MiB\n")


if __name__ == "__main__":
    main()
