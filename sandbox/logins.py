"""Sign-ins that are under way: codes that were sent and wait to be entered."""

import secrets
from dataclasses import dataclass

from sandbox.clock import Clock


@dataclass(slots=True)
class LoginCode:
    code: str
    hash: str
    expires: float


class Logins:
    """Nothing of it outlives a restart: clients begin anew."""

    def __init__(self, clock: Clock, code_lifetime: float) -> None:
        self.codes: dict[str, LoginCode] = {}
        """By phone number."""
        self._clock = clock
        self._code_lifetime = code_lifetime

    def send_code(self, phone: str) -> LoginCode:
        now = self._clock.now()
        for other in [number for number, sent in self.codes.items() if sent.expires <= now]:
            del self.codes[other]
        code = f"{secrets.randbelow(90_000) + 10_000}"
        sent = LoginCode(code, secrets.token_hex(9), now + self._code_lifetime)
        self.codes[phone] = sent
        return sent
