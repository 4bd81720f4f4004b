"""Telegram's methods, one module per namespace; `messages` has several. Each exposes HANDLERS; ALL joins them."""

from sandbox.dispatch import Methods
from sandbox.methods import (
    account,
    auth,
    bots,
    channels,
    contacts,
    dialogs,
    invites,
    messages,
    sending,
    threads,
    updates,
    upload,
    users,
)
from sandbox.methods import help as help_

ALL: Methods = {
    **account.HANDLERS,
    **auth.HANDLERS,
    **bots.HANDLERS,
    **channels.HANDLERS,
    **contacts.HANDLERS,
    **dialogs.HANDLERS,
    **help_.HANDLERS,
    **invites.HANDLERS,
    **messages.HANDLERS,
    **sending.HANDLERS,
    **threads.HANDLERS,
    **updates.HANDLERS,
    **upload.HANDLERS,
    **users.HANDLERS,
}
