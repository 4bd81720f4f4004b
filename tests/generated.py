"""The pages of docs/ that are made from the code: ``make docs`` writes them, a test says when one is out of date."""

import logging
import string

from actors.log import CATALOGUE
from tests.processes import ROOT

HEAD = """\
# Events of the log

Names and fields are stable: grep for them, or alert on them. With `logging.format: json` each line is an object whose
`event` and `fields` hold them; with `text` the wording stands there, in the language of `logging.language`. Lines
without an event (`event: null`) are for whoever looks closer, and may change. Made by `make docs`.

| event | level | fields | in words |
|---|---|---|---|
"""


def log_events():
    return HEAD + "".join(_row(event) for event in sorted(CATALOGUE.values(), key=lambda event: event.name))


def _row(event):
    fields = dict.fromkeys(field for _, field, _, _ in string.Formatter().parse(event.en) if field)
    told = ", ".join(f"`{field}`" for field in fields)
    level = logging.getLevelName(event.level) + (", with `logging.debug`" if event.debug_only else "")
    return f"| `{event.name}` | {level} | {told} | {event.en.replace('|', chr(92) + '|')} |\n"


PAGES = {"docs/log-events.md": log_events}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (ROOT / name).write_text(make(), encoding="utf-8")
