"""Telegram's methods, one module per namespace. Each exposes HANDLERS; ALL joins them."""

from sandbox.dispatch import Methods
from sandbox.methods import auth, bots, channels, contacts, messages, updates, users
from sandbox.methods import help as help_

ALL: Methods = {
    **auth.HANDLERS,
    **bots.HANDLERS,
    **channels.HANDLERS,
    **contacts.HANDLERS,
    **help_.HANDLERS,
    **messages.HANDLERS,
    **updates.HANDLERS,
    **users.HANDLERS,
}
