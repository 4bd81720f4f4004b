"""Settings as plain values that JSON and YAML know, written as the file would have them."""

import json
from datetime import date, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from pydantic import ByteSize, SecretStr

from config.model import Section, Start
from config.values import render_duration, render_size

SHORT = 200
HIDDEN = "**********"
"""Stands for a secret that is set."""


def in_words(value: Any) -> Any:
    """The value with every key, durations and sizes as words, and secrets hidden."""
    match value:
        case Start():
            return value.words
        case Section():
            return {name: in_words(getattr(value, name)) for name in type(value).model_fields}
        case tuple():
            return [in_words(each) for each in value]
        case SecretStr():
            return HIDDEN
        case timedelta():
            return render_duration(value)
        case ByteSize():
            return render_size(value)
        case Path() | IPv4Network() | IPv6Network() | date():
            return str(value)
        case _:
            return value


def shortened(value: Any) -> str:
    """A plain value in at most ``SHORT`` characters; "nothing" for None."""
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"
