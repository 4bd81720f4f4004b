"""Pages of lists with their buttons: plain functions."""

from collections.abc import Sequence

from actors.messages.chat import Button, Note

PAGE = 8
LONGEST_LABEL = 40


def page_of(title: str, rows: Sequence[tuple[str, Button | None]], page: int, name: str) -> Note:
    """One page of a list: lines, a button for each that has one, and where to turn the page to.

    ``name`` begins the data of the turning buttons: ``name:PAGE``.
    """
    pages = max(1, -(-len(rows) // PAGE))
    at = min(max(page, 0), pages - 1)
    shown = rows[at * PAGE : (at + 1) * PAGE]
    buttons = [(button,) for _, button in shown if button is not None]
    turns = [Button(label, f"{name}:{to}") for label, to in (("‹", at - 1), ("›", at + 1)) if 0 <= to < pages]
    if turns:
        buttons.append(tuple(turns))  # type: ignore[arg-type]  # one or two of them
    place = f" ({at + 1}/{pages})" if pages > 1 else ""
    return Note(text="\n".join([title + place, *(line for line, _ in shown)]), buttons=tuple(buttons))


def short(text: str, most: int = LONGEST_LABEL) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
