"""Telethon's session files as the text of its StringSession, by the standard library alone."""

import base64
import ipaddress
import sqlite3
import struct
from contextlib import closing

_SQLITE = b"SQLite format 3\0"
_KEY_BYTES = 256
_LONGEST_TEXT = 1024


class NotASession(ValueError):
    """The file holds neither a StringSession nor a signed-in ``.session`` database."""


def session_text(raw: bytes) -> str:
    """The StringSession text of a file that holds it, or of Telethon's SQLite ``.session``.

    Raises: ``NotASession``.
    """
    if raw.startswith(_SQLITE):
        return _from_sqlite(raw)
    try:
        text = raw.decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > _LONGEST_TEXT or len(text.split()) != 1:
        raise NotASession("this is neither the text of a StringSession nor one of Telethon's .session files")
    return text


def _from_sqlite(raw: bytes) -> str:
    try:
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(raw)
            row = database.execute("SELECT dc_id, server_address, port, auth_key FROM sessions").fetchone()
    except sqlite3.Error as fault:
        raise NotASession(f"this SQLite file isn't one of Telethon's sessions: {fault}") from fault
    if row is None or not isinstance(row[3], bytes) or len(row[3]) != _KEY_BYTES:
        raise NotASession("this .session file was never signed in: it holds no key")
    dc_id, address, port, auth_key = row
    try:
        packed = ipaddress.ip_address(address).packed
        text = base64.urlsafe_b64encode(struct.pack(f">B{len(packed)}sH256s", dc_id, packed, port, auth_key))
    except (ValueError, struct.error) as fault:
        raise NotASession(f"this .session file is damaged: {fault}") from fault
    return "1" + text.decode("ascii")
