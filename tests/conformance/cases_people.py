"""contacts.*, users.*, bots.* and help.*: names, who one is, and where the server stands."""

from telethon import errors, functions, types

from tests.conformance.cases import case
from tests.conformance.stage import Stage, refuses

RESOLVE = functions.contacts.ResolveUsernameRequest


@case("contacts.resolveUsername")
async def a_username_leads_to_its_channel_in_any_spelling(stage: Stage) -> None:
    client, name = await stage.client(), await stage.channel()
    found = await client(RESOLVE(name))
    assert [(chat.id, chat.username.lower()) for chat in found.chats] == [(found.peer.channel_id, name.lower())]
    assert (await client(RESOLVE(name.upper()))).peer == found.peer
    if stage.has_control:
        assert found.peer.channel_id == (await stage.ledger(name))["id"]


@case("contacts.resolveUsername")
async def a_username_leads_to_users_and_bots_too(stage: Stage) -> None:
    client = await stage.client("ann")
    for name in ("boris", "sandbox_bot"):
        found, row = await client(RESOLVE(name)), await stage.account(name)
        assert (found.peer.user_id, found.users[0].bot, found.users[0].phone) == (row["id"], row["bot"], None)


@case("contacts.resolveUsername")
async def names_that_nobody_has_and_that_are_none_are_told_apart(stage: Stage) -> None:
    client = await stage.client()
    await refuses(client, errors.UsernameNotOccupiedError, RESOLVE("nobody_is_called_so_9"))
    await refuses(
        client, errors.UsernameInvalidError, RESOLVE("1x"), RESOLVE(""), RESOLVE("with space"), RESOLVE("a" * 40)
    )


@case("users.getUsers")
async def users_are_told_and_strangers_left_out(stage: Stage) -> None:
    client = await stage.client()
    (me,) = await client(functions.users.GetUsersRequest([types.InputUserSelf()]))
    assert me.is_self
    if stage.has_control:
        boris = await client.get_input_entity("boris")
        found = await client(functions.users.GetUsersRequest([boris, types.InputUser(1, 1), types.InputUserSelf()]))
        assert [user.id for user in found] == [boris.user_id, me.id]
        assert (found[0].username, found[0].phone, found[0].is_self) == ("boris", None, False)
        assert me.phone == (await stage.account("ann"))["phone"]


@case("users.getFullUser")
async def a_user_in_full_is_the_user_that_was_named(stage: Stage) -> None:
    client = await stage.client()
    me = await client.get_me()
    full = await client(functions.users.GetFullUserRequest(types.InputUserSelf()))
    assert (full.full_user.id, full.users[0].id) == (me.id, me.id)
    await refuses(client, errors.PeerIdInvalidError, functions.users.GetFullUserRequest(types.InputUser(1, 1)))
    if stage.has_control:
        bot = await client(functions.users.GetFullUserRequest("sandbox_bot"))
        assert bot.full_user.bot_info is not None
        assert bot.users[0].bot


@case("bots.getBotCommands", "bots.setBotCommands")
async def commands_are_set_by_bots_alone(stage: Stage) -> None:
    bot, client = await stage.client("sandbox_bot"), await stage.client("ann")
    ask = functions.bots.SetBotCommandsRequest(
        types.BotCommandScopeDefault(), "en", [types.BotCommand("start", "Begin")]
    )
    assert await bot(ask) is True
    (held,) = await bot(functions.bots.GetBotCommandsRequest(types.BotCommandScopeDefault(), "en"))
    assert (held.command, held.description) == ("start", "Begin")
    await refuses(client, errors.UserBotRequiredError, ask)
    scope = types.BotCommandScopeDefault()
    for_all = functions.bots.SetBotCommandsRequest(
        types.BotCommandScopeDefault(), "", [types.BotCommand("all", "For all")]
    )
    assert await bot(for_all) is True
    for language, command in (("en", "start"), ("de", "all")):
        (held,) = await bot(functions.bots.GetBotCommandsRequest(scope, language))
        assert held.command == command


@case("help.getConfig")
async def the_configuration_names_the_place_that_was_connected_to(stage: Stage) -> None:
    client = await stage.anyone()
    config = await client(functions.help.GetConfigRequest())
    assert config.this_dc == stage.target.dc_id
    here = [option for option in config.dc_options if option.id == stage.target.dc_id]
    assert here
    if stage.has_control:
        assert [(option.ip_address, option.port) for option in here] == [(stage.target.address, stage.target.port)]
        assert all(stage.target.lets_pass(option.ip_address, option.port) for option in config.dc_options)


@case("help.getNearestDc")
async def the_nearest_data_centre_is_told(stage: Stage) -> None:
    client = await stage.anyone()
    assert (await client(functions.help.GetNearestDcRequest())).this_dc == stage.target.dc_id
