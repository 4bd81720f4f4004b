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

_NAMESPACES = (
    account, auth, bots, channels, contacts, dialogs, help_, invites,
    messages, sending, threads, updates, upload, users,
)  # fmt: skip
ALL: Methods = {request: handler for namespace in _NAMESPACES for request, handler in namespace.HANDLERS.items()}
