"""The pages of docs/ that are made from the code: ``make docs`` writes them, a test says when one is out of date."""

import logging
import re
import string

from actors.log import CATALOGUE
from config.diff import takes
from config.model import Settings
from config.shape import kind_of
from tests.processes import ROOT

HEAD = """\
# Events of the log

Names and fields are stable: grep for them, or alert on them. With `logging.format: json` each line is an object whose
`event` and `fields` hold them; `job_id`, `account_id` and `channel_id` say what a line belongs to. With `text` the
wording stands there, in the language of `logging.language`. Lines without an event (`event: null`) are for whoever
looks closer, and may change. Made by `make docs`.

| event | level | fields | in words |
|---|---|---|---|
"""


def log_events():
    return HEAD + "".join(_row(event) for event in sorted(CATALOGUE.values(), key=lambda event: event.name))


def _row(event):
    told = [field for _, field, _, _ in string.Formatter().parse(event.en) if field]
    fields = dict.fromkeys((*told, *event.also))
    told = ", ".join(f"`{field}`" for field in fields)
    level = logging.getLevelName(event.level) + (", with `logging.debug`" if event.debug_only else "")
    return f"| `{event.name}` | {level} | {told} | {event.en.replace('|', chr(92) + '|')} |\n"


SETTINGS_HEAD = """\
# Settings

One YAML file, `telewarden run -c FILE`; write only what differs from the defaults below. Over the file comes the
environment: `admin.port` is `TELEWARDEN__ADMIN__PORT`, `schedules[0].every` is `TELEWARDEN__SCHEDULES__0__EVERY`, and
with `_FILE` at its end a variable names a file that holds the value. Credential files of systemd (`api_id`, `api_hash`,
`bot_token`, `database_dsn`, `master_key`) fill what is still unset. All faults are told at once, with file, line and
key; an unknown key is one. `telewarden check` says whether the settings are valid and what is in force. Made by
`make docs`.

## Other settings for a daemon that runs

`telewarden diff` shows what a reload would change, and `telewarden reload`, SIGHUP, `systemctl reload telewarden` or
`POST /reload` do it: everything is read and checked first, and one fault leaves all as it was and says where it is.
What takes effect at once holds from then on; who isn't concerned neither connects anew nor stops. What takes effect
after a restart is named (`restart_needed`) and waits for one. A change of `collection.follow` or `collection.channels`
says how many channels will be collected no more, before in the diff and after in the log (`channels_dropped`); their
posts stay.
"""
_LINE = re.compile(r"^(?P<indent> *)(?P<item>- )?(?P<key>[a-z0-9_]+):(?P<value>.*?)(?:\s+# (?P<words>.*))?$")


def settings():
    """The keys in the order of config/default.yaml, whose comments say what each is for."""
    told, above = [SETTINGS_HEAD], []
    for line in (ROOT / "config" / "default.yaml").read_text(encoding="utf-8").splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        column = len(found["indent"]) + len(found["item"] or "")
        above = [(at, key) for at, key in above if at < column]
        if found["item"]:
            above[-1] = (above[-1][0], f"{above[-1][1]}[]")
        above.append((column, found["key"]))
        told.append(_key(".".join(key for _, key in above), found["value"].strip(), found["words"] or ""))
    return "".join(told)


def _key(path, default, words):
    if "." in path:
        shown = f"`{default}`" if default else ""
        return f"| `{path}` | {shown} | {_when(path)} | {_expected(path)}{words.replace('|', chr(92) + '|')} |\n"
    words = f"{words[:1].upper()}{words[1:]}.\n" if words else ""
    if default:
        return f"\n## `{path}`\n\nDefault `{default}`, takes effect {_when(path)}. {words or chr(10)}"
    return f"\n## `{path}`\n\n{words}{chr(10) * bool(words)}| key | default | takes effect | |\n|---|---|---|---|\n"


def _when(path):
    return "at once" if takes(path) == "now" else "after a restart"


def _expected(path):
    """Of a key that takes one of some words, which."""
    holds = Settings
    for step in path.split("."):
        annotation = holds.model_fields[step.removesuffix("[]")].annotation
        kind = kind_of(annotation)
        holds = kind_of(kind.element).section if step.endswith("[]") else kind.section
    return f"{kind.expected}; " if kind.expected.startswith("one of") else ""


PAGES = {"docs/log-events.md": log_events, "docs/settings.md": settings}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (ROOT / name).write_text(make(), encoding="utf-8")
