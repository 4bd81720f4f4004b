"""Typed requests: what mypy --strict says of a call, as a caller would write it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCE = """
from dataclasses import dataclass
from typing import assert_never

from actors.runtime.actor import TaskActor
from actors.runtime.message import Request
from actors.runtime.ref import Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Length(Request[int]):
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shout(Request[str]):
    text: str


class Total(TaskActor):
    def on_receive(self, message: Length | Shout) -> int | str:
        match message:
            case Length(text=text):
                return len(text)
            case Shout(text=text):
                return text.upper()
            case _:
                assert_never(message)


class Forgetful(TaskActor):
    def on_receive(self, message: Length | Shout) -> int | str:
        match message:
            case Length(text=text):
                return len(text)
            case _:
                assert_never(message)  # EXPECT: incompatible type "Shout"; expected "Never"


async def ask(ref: Ref) -> None:
    length: int = await ref.call(Length(text="four"))
    loud: str = await ref.call(Shout(text="four"), timeout=1.0)
    reveal_type(await ref.call(Length(text="four")))  # EXPECT: Revealed type is
    wrong: str = await ref.call(Length(text="four"))  # EXPECT: expected "Request[str]"
    await ref.call("no request")  # EXPECT: has incompatible type "str"; expected "Request
    print(length, loud, wrong)
"""


def test_a_call_has_the_type_of_its_reply_and_a_forgotten_message_is_found(tmp_path: Path) -> None:
    proof = tmp_path / "proof.py"
    proof.write_text(SOURCE, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "setup.cfg"), str(proof)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False).stdout
    expected = {
        number: line.partition("# EXPECT: ")[2]
        for number, line in enumerate(SOURCE.splitlines(), 1)
        if "# EXPECT: " in line
    }
    lines = (line for line in told.splitlines() if "proof.py:" in line)  # the folder may be a cached run's
    found = {int(line.partition("proof.py:")[2].partition(":")[0]): line for line in lines}
    assert set(found) == set(expected), told
    assert all(expected[number] in line for number, line in found.items()), told
