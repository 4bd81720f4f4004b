"""README's quick start for one's own account does what it says; ``make quickstart`` does it in a fresh clone."""

import sys
from pathlib import Path

import pytest
import segno

from tests.quickstart import blocks, commands, scanned, walk


@pytest.mark.timeout(120)
async def test_the_quick_start_leads_to_the_first_row_word_for_word(tmp_path):
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    posts = await walk(tmp_path)
    assert posts[0]["text"]


def test_the_section_has_the_settings_and_the_commands_that_are_walked():
    assert len(list(blocks("yaml"))) == 1
    assert [each.split()[1] for each in commands()] == ["install", "check", "run", "login", "users"]


def test_a_code_is_read_off_the_terminal_as_it_was_drawn(capsys):
    segno.make("tg://login?token=abc", error="l", micro=False).terminal(compact=True, border=2)
    assert scanned(capsys.readouterr().out) == "tg://login?token=abc"
    assert scanned("nothing\n") is None
