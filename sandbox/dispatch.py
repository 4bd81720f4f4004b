"""From a request to its answer: names, counters, faults, rights, and the table of methods."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from telethon.tl import functions, types
from telethon.tl.alltlobjects import tlobjects

from sandbox.channels import Channel
from sandbox.clock import Clock
from sandbox.codec.files import file_origin
from sandbox.codec.layers import spoken_in
from sandbox.codec.raw import Raw
from sandbox.faults import Faults, Rule
from sandbox.keys import AuthKey, Device
from sandbox.limits import Limits
from sandbox.world import Account, World

if TYPE_CHECKING:
    from sandbox.connection import Connection
    from sandbox.datacentre import DataCentre

logger = logging.getLogger(__name__)

_REVOKED = {"AUTH_KEY_DUPLICATED": 406}
"""Codes of the errors that answer a revoked key, where they aren't 401."""

_FOR_ANYBODY = ("help.", "auth.")
"""Who may do nothing else may still ask for the configuration, and sign in anew."""
_ABROAD = (*_FOR_ANYBODY, "upload.")
"""What a data centre does for those whose authorization was handed over to it; for all else it sends them home."""

MAX_UNKNOWN = 1000
"""Names of unknown methods that are counted one by one."""
MAX_WRAPPERS = 16
MAX_NAME = 100
"""Characters that are kept of each of a client's names for itself."""

BOOL_TRUE = Raw(b"\xb5\x75\x72\x99")
BOOL_FALSE = Raw(b"\x37\x97\x79\xbc")


class RefusedError(Exception):
    """A method's refusal, as the client sees it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a method knows about who asks."""

    dc: "DataCentre"
    key: AuthKey
    connection: "Connection"
    maybe_account: Account | None
    takeout: int = 0
    """The takeout session it was wrapped in; 0 for none."""

    @property
    def account(self) -> Account:
        """Raises RefusedError when nobody signed in with this key."""
        if self.maybe_account is None:
            waits = self.key.awaits_password
            raise RefusedError(401, "SESSION_PASSWORD_NEEDED" if waits else "AUTH_KEY_UNREGISTERED")
        return self.maybe_account

    @property
    def user(self) -> Account:
        """The account, which must not be a bot's."""
        if self.account.is_bot:
            raise RefusedError(400, "BOT_METHOD_INVALID")
        return self.account


@dataclass(slots=True, kw_only=True)
class Unwrapped:
    """A call, and what the wrappers around it said."""

    request: Any
    layer: int = 0
    quiet: bool = False
    """It came in invokeWithoutUpdates."""
    device: Device | None = None
    """As initConnection named it."""
    takeout: int | None = None
    """The id of the takeout session it came in."""
    after: tuple[int, ...] = ()
    """Messages that must have been carried out before."""


def unwrap(request: Any) -> Unwrapped:
    """Raises RefusedError for more wrappers than any client uses, and for two takeout sessions at once."""
    found = Unwrapped(request=request)
    for _ in range(MAX_WRAPPERS):
        match found.request:
            case functions.InvokeWithLayerRequest(layer=layer):
                found.layer = layer
            case functions.InvokeWithoutUpdatesRequest():
                found.quiet = True
            case functions.InvokeWithTakeoutRequest(takeout_id=takeout):
                if found.takeout not in (None, takeout):
                    raise RefusedError(400, "TAKEOUT_INVALID")
                found.takeout = takeout
            case functions.InitConnectionRequest() as init:
                names = (name[:MAX_NAME] for name in (init.device_model, init.system_version, init.app_version))
                found.device = Device(init.api_id, *names)
            case functions.InvokeAfterMsgRequest(msg_id=before):
                found.after += (before,)
            case functions.InvokeAfterMsgsRequest(msg_ids=before):
                found.after += tuple(before)
            case _:
                return found
        found.request = found.request.query
    raise RefusedError(400, "INPUT_REQUEST_INVALID")


Method = Callable[[Call, Any], Any]
Methods = Mapping[Any, Method]


@dataclass(slots=True)
class Counts:
    """Every request, per account and method; history also per channel. Account 0: nobody had signed in."""

    by_account: Counter[tuple[int, str]] = field(default_factory=Counter)
    history: Counter[tuple[int, int]] = field(default_factory=Counter)
    floods: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Requests that a limit refused."""
    parallel: Counter[int] = field(default_factory=Counter)
    """Per account: requests with a key that another open connection was calling with too."""
    unknown: Counter[str] = field(default_factory=Counter)

    def note(self, account: int, method: str, channel: int) -> None:
        self.by_account[account, method] += 1
        if method == "messages.getHistory":
            self.history[channel, account] += 1

    def note_unknown(self, name: str) -> None:
        """Anybody can ask for any of four billion constructors: of names there are many, not as many."""
        self.unknown[name if name in self.unknown or len(self.unknown) < MAX_UNKNOWN else "and others"] += 1

    def reset(self) -> None:
        for counter in (self.by_account, self.history, self.floods, self.parallel, self.unknown):
            counter.clear()


def method_name(request: Any) -> str:
    """`messages.getHistory` for a GetHistoryRequest."""
    return _name(type(request))


def _name(kind: type) -> str:
    name = kind.__name__.removesuffix("Request")
    space = kind.__module__.rpartition(".")[2]
    short = name[0].lower() + name[1:]
    return short if space in ("functions", "types") else f"{space}.{short}"


METHOD_NAMES = frozenset(_name(kind) for kind in tlobjects.values() if kind.__name__.endswith("Request"))
"""All that Telegram's schema has, here or not."""


def channels_of(request: Any, world: World) -> tuple[int, ...]:
    """The channels that a request is about, by whatever it names them, as far as they are there."""
    named = [getattr(request, name, None) for name in ("peer", "channel", "from_peer", "location")]
    for name in ("id", "peers"):
        rows = getattr(request, name, None)
        named += rows if isinstance(rows, list) else []
    ids = [getattr(getattr(each, "peer", each), "channel_id", 0) for each in named]
    found = [world.channels[each] for each in ids if each in world.channels]
    if isinstance(username := getattr(request, "username", None), str):
        found += [each for each in (world.named(username),) if isinstance(each, Channel)]
    if isinstance(invite := getattr(request, "hash", None), str) and (invited := world.invited(invite)):
        found.append(invited)
    location = getattr(request, "location", None)
    if location is not None and (origin := file_origin(world, getattr(location, "id", 0))):
        found.append(origin[0])
    return tuple(channel.id for channel in found)


class Dispatcher:
    """Runs methods. One per data centre."""

    def __init__(self, methods: Methods, clock: Clock) -> None:
        self._methods = methods
        self._clock = clock
        self._names: dict[type[Any], str] = {}
        self.faults = Faults()
        self.limits = Limits()
        self.counts = Counts()
        self.strangers: dict[str, None] = {}
        """Unknown methods that were asked for, whenever it was: told at the end."""
        self.one_connection_per_key = False
        """A key that calls over two open connections at once is killed: AUTH_KEY_DUPLICATED for both, for good."""

    def admit(self, call: Call, request: Any) -> Rule | bytes | None:
        """Count a request. The fault it must suffer, or the refusal it gets for whom it comes from, if any."""
        name = self._names.get(type(request)) or self._names.setdefault(type(request), method_name(request))
        account = call.key.account_id
        channels = channels_of(request, call.dc.world)
        self.counts.note(account, name, channels[0] if channels else 0)
        if call.key.use.begin(call.connection):
            self.counts.parallel[account] += 1
        if self.one_connection_per_key and not call.key.refusal and call.key.use.others(call.connection):
            logger.warning("account %d: its key is used over two connections, and dies", account)
            call.dc.revoke(call.key, "AUTH_KEY_DUPLICATED")
        if barred := self._barred(call, name):
            return barred
        now = self._clock.moment()
        rule = self.faults.strike(name, account, channels, now) if self.faults.rules else None
        if rule is None and self.limits.rules and (wait := self.limits.ask(account, name, now)):
            self.counts.floods[account, name] += 1
            return refusal(420, f"FLOOD_WAIT_{wait}")
        return rule

    def _barred(self, call: Call, name: str) -> bytes | None:
        """The refusal of whoever asks: its key was revoked, or it asks the wrong data centre."""
        code = _REVOKED.get(call.key.refusal, 401)
        if call.key.refusal and (code != 401 or not name.startswith(_FOR_ANYBODY)):
            return refusal(code, call.key.refusal)
        home = call.maybe_account.dc_id if call.maybe_account else call.key.dc_id
        if home != call.key.dc_id and not name.startswith(_ABROAD):
            return refusal(303, f"USER_MIGRATE_{home}")
        return None

    def answer_late(self, call: Call, request: Any) -> bytes:
        """The same for a call that was admitted a while ago: its key may have been revoked since."""
        return self._barred(call, method_name(request)) or self.answer(call, request)

    def answer(self, call: Call, request: Any) -> bytes:
        """The finished answer, refusals included."""
        try:
            method = self._methods.get(type(request))
            if method is None:
                return self.unknown(method_name(request), getattr(request, "CONSTRUCTOR_ID", 0))
            return encode(spoken_in(call.key.layer, method(call, request)))
        except RefusedError as fault:
            return refusal(fault.code, fault.message)
        except Exception:  # a defect of ours must reach the log and the client, not end the connection
            logger.exception("%s failed", method_name(request))
            return refusal(500, "INTERNAL")

    def unknown(self, name: str, constructor: int) -> bytes:
        """Answer a method that isn't here, loudly: a test that needs it must not pass by luck."""
        self.counts.note_unknown(name)
        if len(self.strangers) < MAX_UNKNOWN:
            self.strangers[name] = None
        logger.error("unknown method %s (%#x): add it to sandbox/methods", name, constructor)
        return refusal(400, f"INPUT_METHOD_INVALID_{constructor}_0")


def refusal(code: int, message: str) -> bytes:
    return bytes(types.RpcError(code, message))


def encode(answer: Any) -> bytes:
    """A method's answer as bytes. Booleans and vectors have no class in Telethon, so they are written by hand."""
    if answer is True:
        return BOOL_TRUE
    if answer is False:
        return BOOL_FALSE
    if isinstance(answer, list):
        return b"\x15\xc4\xb5\x1c" + len(answer).to_bytes(4, "little") + b"".join(bytes(item) for item in answer)
    return bytes(answer)
