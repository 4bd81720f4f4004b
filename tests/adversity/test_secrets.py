"""Secrets live through sign-ins, refusals, cut lines and crashes at DEBUG, and stand nowhere in the clear."""

import base64

import pytest

from tests.adversity.secrets import ANSWERS, ENDS, NO_SECRETS, Secrets, play

LIVES = 2


@pytest.mark.timeout(240)
async def test_no_secret_stands_in_log_metric_answer_message_file_or_column(tmp_path):
    chaos = await play(tmp_path, seed=3, lives=LIVES)
    assert not chaos.found
    assert len(chaos.secrets.kinds) >= 12
    assert sum(chaos.done[f"lives ended by {end.name}"] for end in ENDS) == LIVES
    assert all(chaos.done[each] for each in NO_SECRETS)
    assert any(many for what, many in chaos.done.items() if what.endswith(": done")), "somebody did come in"
    assert {"the log", "metrics", ANSWERS, "commands"} <= set(chaos.said)


def test_the_search_finds_a_secret_in_each_of_its_forms():
    key = bytes(range(128, 256)) * 2
    known = Secrets()
    known.learn("key", key)
    known.learn("password", "four words, and a %")
    known.learn("code", "123456789012")
    known.learn("token", "told once", told=(ANSWERS,))
    for text in (f"{key!r}", key.hex(), base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()):
        assert known.found_in(f"it is {text}.", "the log") == {"key"}
    for text in ("four words, and a %", "four%20words%2C%20and%20a%20%25", b"four words, and a %".hex()):
        assert known.found_in(f"it is {text}.", "the log") == {"password"}
    assert known.found_in("code=123456789012,", "the log") == {"code"}
    assert known.found_in("id 91234567890124", "the log") == set()
    assert known.found_in("told once", "the log") == {"token"}
    assert known.found_in("told once", ANSWERS) == set()
