"""The tables of docs/posts.md, made from the plan: ``python -m tests.actors.telegram.plan_table`` writes them anew."""

from collections.abc import Mapping
from pathlib import Path

from actors.telegram import plan_actions, plan_media, plan_message, plan_rich
from actors.telegram.plan import REASONS, Shape

DOC = Path(__file__).parents[3] / "docs" / "posts.md"
BEGIN = "<!-- made from actors/telegram/plan*.py -->"
SECTIONS: Mapping[str, Mapping[str, Shape]] = {
    "Messages and their headers": plan_message.MESSAGE,
    "Entities": plan_message.ENTITIES,
    "Reactions": plan_message.REACTIONS,
    "Buttons": plan_message.BUTTONS,
    "Media": plan_media.MEDIA,
    "Files": plan_media.FILES,
    "Web page previews": plan_media.PREVIEWS,
    "What media hold": plan_media.OBJECTS,
    "Gifts": plan_media.GIFTS,
    "Service messages": plan_actions.ACTIONS,
    "Themes": plan_actions.THEMES,
    "Rich messages": plan_rich.MESSAGE,
    "Blocks of rich messages": plan_rich.BLOCKS,
    "Text of rich messages": plan_rich.TEXTS,
}


def tables() -> str:
    """Everything after BEGIN."""
    reasons = [f"* **{name}**: {text}" for name, text in REASONS.items()]
    parts = ["Why a field is left out:", "", *reasons, ""]
    for title, plan in SECTIONS.items():
        parts += [f"### {title}", "", "| class | kept | left out |", "|---|---|---|"]
        parts += [f"| {', '.join(names)} | {row} |" for row, names in _grouped(plan).items()]
        parts.append("")
    return "\n".join(parts)


def _grouped(plan: Mapping[str, Shape]) -> dict[str, list[str]]:
    """Classes by their row, so that those decided alike share one."""
    grouped: dict[str, list[str]] = {}
    for name, shape in plan.items():
        grouped.setdefault(f"{_kept(shape)} | {_left(shape)}", []).append(f"`{name}`")
    return grouped


def _kept(shape: Shape) -> str:
    told = [f"`{field}`" if field == key else f"`{field}` as `{key}`" for field, key in shape.kept]
    told += [f"`{field}` as the kind `{kind}`" for field, kind in shape.words]
    told += [f"what is in `{field}`" for field in shape.merged]
    told += [f"`{field}` in {_places(place)}" for field, place in shape.elsewhere.items()]
    told += [f"`{shape.stands}` in its place"] if shape.stands else []
    told += [
        f"`{key}`: `{value}`".replace("`True`", "`true`") for key, value in shape.constants.items() if key != "type"
    ]
    return ", ".join(told) or ("its type" if "type" in shape.constants else "nothing")


def _places(place: str) -> str:
    return " and ".join(f"`{each}`" for each in place.split(","))


def _left(shape: Shape) -> str:
    by_reason: dict[str, list[str]] = {}
    for field, reason in shape.left.items():
        by_reason.setdefault(reason, []).append("all else" if field == "*" else f"`{field}`")
    return "; ".join(f"{reason}: {', '.join(fields)}" for reason, fields in by_reason.items())


if __name__ == "__main__":
    text = DOC.read_text(encoding="utf-8").partition(BEGIN)[0]
    DOC.write_text(f"{text}{BEGIN}\n\n{tables()}", encoding="utf-8")
