"""The console script ``telewarden``."""

import io
import os
import sys


def main() -> int:
    """Run a command; every way out is an exit code and at most a few plain lines on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # cron runs with LANG=C: posts and names must come out all the same.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    from daemon.cli import cli

    try:
        cli(prog_name="telewarden")
    except Exception as fault:
        if os.environ.get("DEBUG_LOGS", "").lower() in {"1", "true", "yes", "on"}:
            raise
        text = f"{type(fault).__name__}: {fault}" if str(fault) else type(fault).__name__
        print(f"telewarden: failed unexpectedly: {text}", file=sys.stderr)  # noqa: T201 -- the console is its face
        print("Set DEBUG_LOGS=true to see where; please report it.", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
