"""`python -m sandbox`: the data centre as a process of its own."""

import argparse
import asyncio
import gc
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.client import Sandbox
from sandbox.doors import NotLoopbackError
from sandbox.exports import ExportError
from sandbox.generate import PostsFolderError, ShapeError
from sandbox.state import StateError
from sandbox.traces import TraceError
from sandbox.world import DC_ID

logger = logging.getLogger("sandbox")

OPEN_FILES = 8192


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT")
    return host.strip("[]"), int(port)


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("a path is expected, and this one is empty")
    return Path(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="telewarden sandbox",
        description="A Telegram data centre on loopback, for development, tests and benchmarks. Its first line "
        "on stdout is JSON that says where it listens; logs go to stderr. docs/sandbox.md describes the rest.",
    )
    option, anywhere = parser.add_argument, ("127.0.0.1", 0)
    option("--accounts", type=int, default=3, metavar="N", help="user accounts, beside one bot (default: 3)")
    option("--channels", type=int, default=6, metavar="N", help="generated channels (default: 6)")
    option("--posts", type=int, metavar="N", help="posts over all generated channels (default: 50 a channel)")
    option("--rate", type=float, default=0.0, metavar="R", help="new posts a second in generated channels (default: 0)")
    option("--seed", type=int, default=1, metavar="S", help="the same seed makes the same world (default: 1)")
    option("--posts-dir", type=_path, metavar="DIR", help="load every *.json of this folder as a channel")
    option("--export", type=_path, metavar="FILE", help="load the channels of a Telegram Desktop export (result.json)")
    option("--trace", type=_path, metavar="FILE", help="do as the data centre did that telewarden probe looked at")
    option("--limits", action="store_true", help="enforce the usual limits: floods are answered with growing waits")
    option("--listen", type=_place, default=anywhere, metavar="HOST:PORT", help="for clients (default: 127.0.0.1:0)")
    option("--control", type=_place, default=anywhere, metavar="HOST:PORT", help="for HTTP (default: 127.0.0.1:0)")
    option("--state", type=_path, metavar="DIR", help="keep keys and all that happens over a restart (default: none)")
    option("--until-eof", action="store_true", help="also end when stdin ends, with whoever started this")
    option("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="(default: INFO)")
    return parser


def _allow_many_files() -> None:
    """A thousand clients are a thousand open files, which is more than most systems allow at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


async def _serve(*, until_eof: bool, **options: Any) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with Sandbox(**options) as dc:
        gc.freeze()  # the world stays: collections needn't walk a million posts each time
        place = {"id": DC_ID, "address": dc.address, "port": dc.port, "public_key": dc.public_key}
        print(json.dumps({"dc": place, "control": dc.control_url}), flush=True)  # noqa: T201 - the contract's first line
        if until_eof:
            _watch_stdin(loop, ended)
        await ended.wait()
        unknown = sorted(dc.dc.dispatcher.strangers)
    if unknown:
        logger.error("unknown methods were asked for: %s", ", ".join(unknown))


def _watch_stdin(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """Set `ended` at the end of stdin. A file or /dev/null can't be watched, and has ended already."""

    def readable() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin)
            ended.set()

    try:
        loop.add_reader(sys.stdin, readable)
    except (OSError, ValueError):  # the second for one that was closed before we began
        ended.set()


def main(arguments: Sequence[str] | None = None) -> int:
    options = vars(_parser().parse_args(arguments))
    level = options.pop("log_level")
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    _allow_many_files()
    logging.getLogger("telethon").setLevel(logging.WARNING)
    try:
        asyncio.run(_serve(**options))
    except (PostsFolderError, ExportError, ShapeError, TraceError, StateError, NotLoopbackError) as error:
        print(f"sandbox: {error}", file=sys.stderr)  # noqa: T201 - one clear line for whoever started it
        return 2
    except OSError as error:
        print(f"sandbox: can't listen: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
