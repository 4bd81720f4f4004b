"""docs/sandbox.md says what is there: its tables are held to the code."""

import re
from pathlib import Path

from telethon.tl import functions

from sandbox import methods
from sandbox.__main__ import _parser
from sandbox.control import routes
from sandbox.dispatch import method_name
from sandbox.switches import Switches

TEXT = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")


def test_every_method_stands_in_the_table_as_what_it_is() -> None:
    told: dict[str, bool] = {}
    for line in TEXT.partition("### Methods")[2].splitlines():
        if match := re.fullmatch(r"\| (`.*`) \| (yes|partly|no)\b.*\|", line):
            names = re.findall(r"`([a-z]+\.[A-Za-z]+)`", match[1])
            assert not told.keys() & set(names)
            told |= dict.fromkeys(names, match[2] != "no")
    here = {method_name(object.__new__(request)) for request in methods.ALL}
    assert {name for name, there in told.items() if there} == here
    for name in told:
        space, _, short = name.partition(".")
        assert hasattr(getattr(functions, space), f"{short[0].upper()}{short[1:]}Request"), name


def test_every_route_option_and_switch_is_told() -> None:
    for route in routes:
        path = route.path
        assert re.search(rf"`{route.method} {re.escape(path)}[ `?]", TEXT), (route.method, path)
    for action in _parser()._actions:
        assert "--help" in action.option_strings or any(option in TEXT for option in action.option_strings), (
            action.option_strings
        )
    for switch in Switches.__dataclass_fields__:
        assert f"| `{switch}` |" in TEXT, switch
