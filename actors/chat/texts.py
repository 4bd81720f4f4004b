"""Every sentence of the bot, in each language; ``str.format`` templates over what is named in them."""

from actors.messages.ids import Language

TEXTS: dict[str, dict[Language, str]] = {
    "hello": {
        "ru": "Здравствуйте! Я собираю посты каналов, на которые вы подписаны.\n/help: все команды",
        "en": "Hello! I collect the posts of the channels that you follow.\n/help: all commands",
    },
    "help": {
        "ru": "/login: подключить ваш аккаунт\n/logout: отключить его\n/status: как идут дела\n"
        "/add @channel: следить за каналом (имя, ссылка, приглашение или пересланный пост)\n/remove @channel: "
        "перестать\n"
        "/channels: ваши каналы\n/import: взять каналы из ваших диалогов или папки\n"
        "/parse: собрать новые посты сейчас\n/schedule: когда это делается само\n/latest: последние посты",
        "en": "/login: connect your account\n/logout: disconnect it\n/status: how things are\n"
        "/add @channel: follow a channel (name, link, invite or forwarded post)\n/remove @channel: stop following it\n"
        "/channels: your channels\n/import: take over the channels of your dialogs, or of a folder\n"
        "/parse: fetch new posts now\n/schedule: when that is done by itself\n/latest: the latest posts",
    },
    "help_admin": {
        "ru": "\n\nДля администраторов:\n/invite: пригласить\n/users: пользователи\n/accounts: состояние аккаунтов",
        "en": "\n\nFor administrators:\n/invite: invite somebody\n/users: the users\n/accounts: the accounts' states",
    },
    "stranger": {
        "ru": "Здравствуйте! Этот бот отвечает только приглашённым. Есть приглашение? Отправьте /start КОД.",
        "en": "Hello! This bot answers only those who were invited. You have an invite? Send /start CODE.",
    },
    "welcome": {
        "ru": "Приглашение принято. Теперь подключите ваш аккаунт: /login",
        "en": "The invite is accepted. Now connect your account: /login",
    },
    "invite_unknown": {"ru": "Такого приглашения нет.", "en": "There is no such invite."},
    "invite_expired": {"ru": "Это приглашение больше не действует.", "en": "This invite is over."},
    "invite_used": {"ru": "Это приглашение уже использовано.", "en": "This invite has been used up."},
    "status": {
        "ru": "Ваш аккаунт: {state}\nКаналов: {channels}{limit}\nПарсинг: {job}",
        "en": "Your account: {state}\nChannels: {channels}{limit}\nParse: {job}",
    },
    "status_admin": {
        "ru": "\n\nПользователей в сети: {up} из {users}\nКаналов: {channels}\nПостов: {posts}\nОткрытых тревог: "
        "{alerts}",
        "en": "\n\nUsers signed in: {up} of {users}\nChannels: {channels}\nPosts: {posts}\nOpen alerts: {alerts}",
    },
    "of_limit": {"ru": " из {limit}", "en": " of {limit}"},
    "running": {"ru": "идёт, каналов {done} из {total}", "en": "running, channels {done} of {total}"},
    "idle": {"ru": "не идёт", "en": "not running"},
    "started": {"ru": "⏳ Парсинг начат.", "en": "⏳ The parse has begun."},
    "progress": {
        "ru": "⏳ Парсинг: каналов {done} из {total}, добавлено {added} постов",
        "en": "⏳ Parse: channels {done} of {total}, added {added} posts",
    },
    "done": {"ru": "✅ Парсинг завершен: добавлено {added} постов", "en": "✅ Parse finished: added {added} posts"},
    "failed": {
        "ru": "⚠️ Парсинг завершен с ошибками: добавлено {added} постов",
        "en": "⚠️ Parse finished with errors: added {added} posts",
    },
    "disabled": {
        "ru": "Ваш аккаунт отключён оператором.",
        "en": "The operator has disabled your account.",
    },
    "signed_out": {
        "ru": "Ваш аккаунт сейчас не в сети ({state}): подключите его, /login",
        "en": "Your account isn't signed in now ({state}): connect it, /login",
    },
    "later": {"ru": "Сейчас не получилось, попробуйте позже.", "en": "That didn't work now, try again later."},
    "wait": {
        "ru": "Telegram просит подождать {seconds} с, попробуйте после этого.",
        "en": "Telegram wants {seconds} s of waiting, try again after that.",
    },
    "unknown": {"ru": "Не знаю такой команды: /help", "en": "No such command: /help"},
    "not_allowed": {"ru": "Это могут только администраторы.", "en": "Only administrators may do that."},
    # channels
    "add_how": {
        "ru": "Какой канал? /add @channel, ссылка t.me, приглашение, или перешлите пост.",
        "en": "Which channel? /add @channel, a t.me link, an invite, or forward a post of it.",
    },
    "remove_how": {
        "ru": "Какой канал? /remove @channel, или /channels",
        "en": "Which one? /remove @channel, or /channels",
    },
    "followed": {"ru": "✅ {channel}: слежу", "en": "✅ {channel}: followed from now on"},
    "already": {"ru": "{channel}: уже слежу", "en": "{channel}: followed already"},
    "join_needed": {
        "ru": "«{channel}» видят только участники. Вступить вашим аккаунтом?",
        "en": "Only members see “{channel}”. Shall your account join it?",
    },
    "join": {"ru": "Вступить", "en": "Join"},
    "join_requested": {
        "ru": "«{channel}»: заявка подана, её должны одобрить администраторы. Потом повторите /add.",
        "en": "“{channel}”: its administrators must let you in first. Then say /add again.",
    },
    "limit": {
        "ru": "Больше {limit} каналов в вашем тарифе нельзя.",
        "en": "Your plan allows no more than {limit} channels.",
    },
    "no_channel": {
        "ru": "Такого канала ваш аккаунт не находит.",
        "en": "Your account finds no such channel.",
    },
    "refused": {"ru": "Telegram отказал: {cause}", "en": "Telegram refused: {cause}"},
    "removed": {"ru": "{channel}: больше не слежу", "en": "{channel}: not followed any more"},
    "not_followed": {"ru": "{channel}: и не слежу", "en": "{channel}: wasn't followed"},
    "channels": {"ru": "Ваши каналы, {total}{limit}:", "en": "Your channels, {total}{limit}:"},
    "no_channels": {
        "ru": "Вы пока ни за чем не следите: /add или /import",
        "en": "You follow nothing yet: /add or /import",
    },
    "folders": {"ru": "Откуда взять каналы?", "en": "Where from?"},
    "all_dialogs": {"ru": "Из всех диалогов", "en": "All dialogs"},
    "imported": {
        "ru": "✅ Новых каналов: {followed}, уже было: {already}{over}",
        "en": "✅ New channels: {followed}, known already: {already}{over}",
    },
    "over_limit": {"ru": ", не вошло в тариф: {over}", "en": ", beyond your plan: {over}"},
    "no_folder": {"ru": "Такой папки больше нет.", "en": "There is no such folder any more."},
    "no_posts": {"ru": "Постов пока нет.", "en": "There are no posts yet."},
    "schedule": {"ru": "Каналы собираются:", "en": "Channels are parsed:"},
    "every": {"ru": "каждые {every}", "en": "every {every}"},
    "cron": {"ru": "по расписанию {cron} ({timezone})", "en": "by {cron} ({timezone})"},
    "no_schedule": {"ru": "Только по команде: /parse", "en": "Only when asked: /parse"},
    # signing in
    "consent": {
        "ru": "Подключая аккаунт, вы разрешаете этой программе читать каналы, на которые вы подписаны, и хранить их "
        "посты. "
        "Личные чаты она не читает и не хранит, от вашего имени ничего не пишет. Отозвать разрешение: /logout, или "
        "Telegram > Настройки > Устройства.",
        "en": "By connecting your account you allow this program to read the channels that you follow, and to keep "
        "their "
        "posts. It neither reads nor keeps private chats, and writes nothing on your behalf. Take it back by "
        "/logout, or in "
        "Telegram > Settings > Devices.",
    },
    "agree": {"ru": "Согласен", "en": "I agree"},
    "signed_in_already": {
        "ru": "Ваш аккаунт уже подключён. Отключить: /logout",
        "en": "Your account is connected already. /logout disconnects it.",
    },
    "scan": {
        "ru": "Отсканируйте этот код в Telegram > Настройки > Устройства > Подключить устройство. Он обновляется сам.\n"
        "Код из СМС или пароль сюда не присылайте: в чате их мог бы прочесть тот, кто вошёл в ваш аккаунт, а "
        "Telegram гасит "
        "код, который кому-то переслали.",
        "en": "Scan this code in Telegram > Settings > Devices > Link Desktop Device. It renews itself.\n"
        "Never send a login code or password here: whoever is in your account could read it, and Telegram voids a "
        "code that "
        "was sent to somebody.",
    },
    "open_page": {"ru": "Войти на странице", "en": "Sign in on the page"},
    "password_on_page": {
        "ru": "Код отсканирован, нужен ещё пароль двухфакторной защиты. Введите его на странице, не здесь.",
        "en": "The code was scanned; your two-factor password is needed too. Enter it on the page, not here.",
    },
    "password_no_page": {
        "ru": "Код отсканирован, но нужен пароль двухфакторной защиты, а страницы для него у этой программы нет: "
        "обратитесь "
        "к администратору.",
        "en": "The code was scanned, but your two-factor password is needed, and this program has no page for it: "
        "ask its "
        "administrator.",
    },
    "signed_in": {
        "ru": "✅ Аккаунт подключён. /import или /add",
        "en": "✅ Your account is connected. /import or /add",
    },
    "sign_in_failed": {"ru": "Не вышло: {error}. Ещё раз: /login", "en": "It failed: {error}. Once more: /login"},
    "signed_out_now": {
        "ru": "🔒 Аккаунт отключён, сессия удалена.",
        "en": "🔒 Your account is disconnected, its session deleted.",
    },
    "signed_out_here": {
        "ru": "🔒 Сессия удалена здесь, но Telegram этого не подтвердил: проверьте Настройки > Устройства.",
        "en": "🔒 The session is deleted here, but Telegram didn't confirm it: look at Settings > Devices.",
    },
    # administrators
    "invite": {
        "ru": "Приглашение, действует {days} дн., {uses} раз:\n{link}\nили /start {code}",
        "en": "An invite, for {days} days, {uses} times:\n{link}\nor /start {code}",
    },
    "invite_how": {"ru": "/invite, /invite 5, /invite admin", "en": "/invite, /invite 5, /invite admin"},
    "users": {"ru": "Пользователи, {total}:", "en": "Users, {total}:"},
    "accounts": {"ru": "Аккаунты, {total}:", "en": "Accounts, {total}:"},
    "alerts": {"ru": "🚨 Требуют внимания, {total}:", "en": "🚨 These want attention, {total}:"},
    "account_ended": {
        "ru": "🔒 Ваш аккаунт отключился: {cause}. Подключить снова: /login. Пропущенные посты будут дочитаны.",
        "en": "🔒 Your account was disconnected: {cause}. Connect it again: /login. Posts missed meanwhile are "
        "fetched then.",
    },
    "more": {"ru": "… и ещё {count}", "en": "… and {count} more"},
}


def menu_of(language: Language) -> tuple[tuple[str, str], ...]:
    """Everybody's commands, each with what it does: what the app shows when somebody types a slash."""
    lines = (line.removeprefix("/").split(": ", 1) for line in TEXTS["help"][language].splitlines())
    return tuple((usage.split()[0], what) for usage, what in lines)


def text_of(name: str, language: Language, **fields: object) -> str:
    return TEXTS[name][language].format(**fields)
