"""Words for generated posts: Russian and English, with marks of every common kind."""

import random

from sandbox.posts import Entity

NAMES = (
    ("Ann", "Petrova", "ann"),
    ("Boris", "Lindt", "boris"),
    ("Vera", "Okoye", "vera"),
    ("Глеб", "Соколов", "gleb"),
    ("Dasha", "Moreau", "dasha"),
    ("Egor", "", "egor"),
    ("Жанна", "Ким", "zhanna"),
    ("Ivan", "Haddad", "ivan"),
)

CHANNELS = (
    ("Городские новости", "gorod_news"),
    ("Morning Markets", "morning_markets"),
    ("Наука без воды", "nauka_bez_vody"),
    ("Night Trains", "night_trains"),
    ("Кухня у моря", "kuhnya_u_morya"),
    ("Редакционный чат-канал", "redakciya"),
    ("Open Source Weekly", "open_source_weekly"),
    ("Погода и дороги", "pogoda_dorogi"),
    ("Quiet Football", "quiet_football"),
    ("Книги на полке", "knigi_na_polke"),
)

_SENTENCES = (
    "Сегодня утром открыли новый участок набережной, проход свободный.",
    "Расписание автобусов меняется с понедельника: проверьте свой маршрут.",
    "Учёные показали, как медь ведёт себя при сверхнизких температурах.",
    "Вечером обещают дождь, ночью — до минус двух 🌧",
    "Мы поговорили с авторами и записали самое важное.",
    "Цены на билеты выросли на 4,5 %, скидки для студентов остались.",
    "Подробности — в нашем материале, ссылка ниже.",
    "Редакция проверила: сообщение о закрытии моста не подтвердилось.",
    "Пять книг, которые стоит прочесть этой зимой 📚",
    "Рецепт прост: мука, соль, вода и много терпения.",
    "The night train to the coast runs again, twice a week.",
    "Markets opened flat; copper is up 1.2 % on the day.",
    "A new release is out: faster start, fewer dependencies.",
    "Nobody scored, everybody cheered ⚽",
    "The committee will meet again on Thursday at 10:00.",
    "We asked three engineers why the bridge hums in the wind.",
    "Corrections to yesterday's table are marked in the file.",
    "Doors open at seven, bring something warm to drink ☕",
)

_MARKS = ("bold", "italic", "code", "spoiler", "underline", "strike", "blockquote")


def utf16_length(text: str) -> int:
    """Telegram counts entity offsets in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def write_text(rng: random.Random, title: str, post_id: int) -> tuple[str, tuple[Entity, ...]]:
    """A post's text with some entities. The signature in its end makes it unlike any other post's."""
    sentences = rng.choices(_SENTENCES, k=rng.choices((1, 2, 4, 8, 20), (4, 5, 5, 3, 1))[0])
    entities: list[Entity] = [(rng.choice(_MARKS), 0, utf16_length(sentences[0]), "")]
    text = "\n\n".join((sentences[0], " ".join(sentences[1:]))) if sentences[1:] else sentences[0]
    for kind, piece, argument in _tail(rng, title, post_id):
        text += "\n" if kind == "hashtag" else " "
        entities.append((kind, utf16_length(text), utf16_length(piece), argument))
        text += piece
    return text, tuple(entities)


def _tail(rng: random.Random, title: str, post_id: int) -> list[tuple[str, str, str]]:
    tail = [("hashtag", f"#n{post_id}", "")]
    if rng.random() < 0.4:
        tail.append(("text_url", title, f"https://example.org/{post_id}"))
    if rng.random() < 0.2:
        tail.append(("url", f"https://example.org/read/{post_id}", ""))
    if rng.random() < 0.2:
        tail.append(("mention", "@sandbox_bot", ""))
    return tail
