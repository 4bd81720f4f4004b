"""What a long run leaves behind: one JSON file, with the commit it ran on and whatever failed in it."""

import json
import platform
import subprocess
from datetime import UTC, datetime

from tests.processes import ROOT


def commit():
    """The commit that runs, with a ``+`` where files differ from it; results of runs count for nothing here."""
    head = _git("rev-parse", "HEAD")
    return head + "+" * bool(_git("status", "--porcelain", "--", ":/", ":!/bench/results"))


def _git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write(path, result):
    """Keep the result, beside what it was made by."""
    made_by = {"python": platform.python_version(), "date": datetime.now(UTC).isoformat(timespec="seconds")}
    path.write_text(json.dumps({**result, **made_by}, indent=2) + "\n", encoding="utf-8")
