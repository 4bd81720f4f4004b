"""Invite links: messages.checkChatInvite and importChatInvite."""

from telethon import errors, functions, types

from tests.conformance.cases import case
from tests.conformance.stage import Row, Stage, refuses

CHECK = functions.messages.CheckChatInviteRequest
IMPORT = functions.messages.ImportChatInviteRequest


async def private(stage: Stage, *members: str) -> tuple[Row, str]:
    """A channel without a name, and the hash of its invite."""
    row = await stage.found("Inner circle", *members)
    row = await stage.control.post(f"/channels/{row['id']}", username="")
    return row, row["invite"].rpartition("+")[2]


@case("messages.checkChatInvite", "messages.importChatInvite")
async def an_invite_opens_a_private_channel(stage: Stage) -> None:
    client = await stage.client("ann")
    row, invite = await private(stage, "vera")
    await stage.publish(row["id"], "among ourselves")
    seen = await client(CHECK(invite))
    assert (type(seen), seen.title, seen.broadcast, seen.participants_count, seen.public, seen.request_needed) == (
        types.ChatInvite, "Inner circle", True, 1, False, False,
    )  # fmt: skip
    joined = await client(IMPORT(invite))
    assert [chat.id for chat in joined.chats] == [row["id"]]
    assert [message.message for message in await client.get_messages(joined.chats[0])] == ["among ourselves"]
    already = await client(CHECK(invite))
    assert (type(already), already.chat.id) == (types.ChatInviteAlready, row["id"])
    await refuses(client, errors.UserAlreadyParticipantError, IMPORT(invite))


@case("messages.checkChatInvite", "messages.importChatInvite")
async def bad_invites_are_told_apart(stage: Stage) -> None:
    client = await stage.client("ann")
    row, invite = await private(stage)
    await stage.control.post("/members", channel=row["id"], account="ann", standing="banned")
    for kind in (CHECK, IMPORT):
        await refuses(client, errors.InviteHashEmptyError, kind(""))
        await refuses(client, errors.InviteHashInvalidError, kind("no hash at all!"))
        await refuses(client, errors.InviteHashExpiredError, kind("AAAAAAAAAAAAAAAAAAAA"), kind(invite))
        bot = await stage.client("sandbox_bot")
        await refuses(bot, errors.BotMethodInvalidError, kind(invite))


@case("messages.importChatInvite")
async def an_invite_joins_no_further_than_the_limit(stage: Stage) -> None:
    client = await stage.client("ann")
    _, invite = await private(stage)
    await stage.control.post("/switches", max_joined=0)
    await refuses(client, errors.ChannelsTooMuchError, IMPORT(invite))
