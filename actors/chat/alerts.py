"""Alerts as the bot words them for administrators."""

from collections.abc import Mapping, Sequence

from actors.chat.texts import text_of
from actors.messages.alerts import AlertRow
from actors.messages.ids import AccountId, Language
from actors.messages.rows import AccountRow

ENDED = frozenset({"key_dead", "frozen", "account_parked"})
"""Kinds that end an account's work: its user is told too, with the way back in."""
SHOWN = 20
"""Lines of one message; the others are counted."""


def alerts_text(alerts: Sequence[AlertRow], people: Mapping[AccountId, AccountRow], language: Language) -> str:
    """All of these in one message, a line for each kind and cause however many it concerns."""
    grouped: dict[tuple[str, str], list[AlertRow]] = {}
    for alert in alerts:
        grouped.setdefault((alert.kind, alert.cause), []).append(alert)
    lines = [f"• {kind}, {_whom(rows, people)}: {cause}" for (kind, cause), rows in grouped.items()]
    shown = lines[:SHOWN]
    if len(lines) > SHOWN:
        shown.append(text_of("more", language, count=len(lines) - SHOWN))
    return "\n".join([text_of("alerts", language, total=len(alerts)), *shown])


def _whom(rows: Sequence[AlertRow], people: Mapping[AccountId, AccountRow]) -> str:
    names = []
    for row in rows[:3]:
        person = None if row.account_id is None else people.get(row.account_id)
        if person is not None and person.username:
            names.append(f"@{person.username}")
        elif row.account_id is not None:
            names.append(str(row.account_id))
        elif row.channel_id is not None:
            names.append(str(row.channel_id))
    if len(rows) > len(names):
        names.append(f"+{len(rows) - len(names)}")
    return ", ".join(names)
