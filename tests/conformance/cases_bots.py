"""What a bot's chat lives on: buttons, pictures, edits, forwards; and folders of dialogs."""

import io
import secrets
from typing import Any

import segno
from telethon import Button, errors, events, functions, types

from tests.conformance.cases import case
from tests.conformance.stage import Stage, hear, refuses, soon


def picture(text: str) -> Any:
    png = io.BytesIO()
    png.name = "qr.png"
    segno.make(text, micro=False).save(png, kind="png", scale=4)
    png.seek(0)
    return png


@case("messages.getBotCallbackAnswer", "messages.setBotCallbackAnswer", "messages.editMessage")
async def a_pressed_button_reaches_the_bot_which_edits_its_message(stage: Stage) -> None:
    bot, ann = await stage.client("sandbox_bot"), await stage.client("ann")
    pressed, edited = hear(bot, events.CallbackQuery()), hear(ann, events.MessageEdited())
    me = await ann.get_me()
    await ann.send_message("sandbox_bot", "/start")
    sent = await bot.send_message(
        types.PeerUser(me.id),
        "choose",
        buttons=[[Button.inline("one", b"1"), Button.url("more", "https://example.org/")]],
    )
    (read,) = await ann.get_messages("sandbox_bot", limit=1)
    assert [[button.text for button in row] for row in read.buttons] == [["one", "more"]]
    answering = await ann(
        functions.messages.GetBotCallbackAnswerRequest(await ann.get_input_entity("sandbox_bot"), read.id, data=b"1")
    )
    assert answering.message is None
    query = await soon(pressed)
    assert (query.data, query.sender_id, query.message_id) == (b"1", me.id, sent.id)
    await query.answer("taken")
    await query.edit("chosen: one")
    told = await soon(edited)
    assert (told.text, told.message.id, told.message.buttons) == ("chosen: one", read.id, None)
    peer = await ann.get_input_entity("sandbox_bot")
    await refuses(
        ann, errors.DataInvalidError, functions.messages.GetBotCallbackAnswerRequest(peer, read.id, data=b"2")
    )
    await refuses(ann, errors.UserBotRequiredError, functions.messages.SetBotCallbackAnswerRequest(1, 0))


@case("messages.editMessage")
async def only_ones_own_message_is_edited_and_only_into_something_else(stage: Stage) -> None:
    ann, boris = await stage.client("ann"), await stage.client("boris")
    mine = await ann.send_message("boris", "before")
    await ann.edit_message("boris", mine.id, "after")
    (read,) = await boris.get_messages("ann", limit=1)
    assert (read.message, read.edit_date is not None) == ("after", True)
    peer = await ann.get_input_entity("boris")
    await refuses(
        ann, errors.MessageNotModifiedError, functions.messages.EditMessageRequest(peer, mine.id, message="after")
    )
    theirs = await boris.get_input_entity("ann")
    await refuses(
        boris, errors.MessageAuthorRequiredError, functions.messages.EditMessageRequest(theirs, read.id, message="x")
    )
    await refuses(ann, errors.MessageIdInvalidError, functions.messages.EditMessageRequest(peer, 10**6, message="x"))


@case("messages.sendMedia", "upload.saveFilePart", "upload.getFile", "messages.editMessage")
async def a_picture_arrives_byte_by_byte_and_is_replaced_by_an_edit(stage: Stage) -> None:
    ann, boris = await stage.client("ann"), await stage.client("boris")
    first, second = picture("tg://login?token=one"), picture("tg://login?token=two")
    sent = await ann.send_file("boris", first, caption="scan it", force_document=False)
    (read,) = await boris.get_messages("ann", limit=1)
    assert (read.message, await boris.download_media(read, bytes)) == ("scan it", first.getvalue())
    await ann.edit_message("boris", sent.id, "scan the next", file=second)
    (read,) = await boris.get_messages("ann", limit=1)
    assert (read.message, await boris.download_media(read, bytes)) == ("scan the next", second.getvalue())


@case("messages.sendMedia", "upload.saveFilePart")
async def what_is_no_picture_is_refused(stage: Stage) -> None:
    ann = await stage.client("ann")
    peer = await ann.get_input_entity("boris")

    def media(content: Any, parts: int = 1) -> Any:
        file = types.InputFile(id=content, parts=parts, name="x.png", md5_checksum="")
        uploaded = types.InputMediaUploadedPhoto(file=file)
        return functions.messages.SendMediaRequest(peer, uploaded, "text", random_id=secrets.randbits(62))

    await ann(functions.upload.SaveFilePartRequest(5, 0, b"not a picture"))
    await refuses(ann, errors.ImageProcessFailedError, media(5))
    await refuses(ann, errors.FilePartsInvalidError, media(404))
    await refuses(ann, errors.FilePartInvalidError, functions.upload.SaveFilePartRequest(5, 4000, b"x"))
    await refuses(ann, errors.FilePartSizeInvalidError, functions.upload.SaveFilePartRequest(5, 0, b""))


@case("messages.forwardMessages")
async def a_protected_channel_is_not_forwarded_from_and_a_hundred_posts_at_most(stage: Stage) -> None:
    ann = await stage.client("ann")
    channel = await stage.found("Protected", "ann")
    (post,) = await stage.publish(channel["id"], "keep it here")
    source, peer = await ann.get_input_entity(channel["username"]), await ann.get_input_entity("boris")

    def forward(count: int) -> Any:
        numbers = [secrets.randbits(62) for _ in range(count)]
        return functions.messages.ForwardMessagesRequest(source, [post] * count, peer, random_id=numbers)

    await refuses(ann, errors.LimitInvalidError, forward(101))
    await stage.control.post(f"/channels/{channel['id']}", noforwards=True)
    await refuses(ann, errors.ChatForwardsRestrictedError, forward(1))
    assert (await ann.get_messages(channel["username"], ids=post)).noforwards


@case("messages.sendMessage", "messages.sendMedia")
async def buttons_and_captions_have_their_bounds(stage: Stage) -> None:
    bot, ann = await stage.client("sandbox_bot"), await stage.client("ann")
    await ann.send_message("sandbox_bot", "/start")
    peer = await bot.get_input_entity(types.PeerUser((await ann.get_me()).id))

    def with_button(kind: Any) -> Any:
        markup = types.ReplyInlineMarkup([types.KeyboardInlineButtonRow([types.KeyboardInlineButton("press", kind)])])
        return functions.messages.SendMessageRequest(peer, "text", random_id=1, reply_markup=markup)

    data, url = types.InlineButtonTypeCallback, types.InlineButtonTypeUrl
    await refuses(bot, errors.ButtonDataInvalidError, with_button(data(b"")), with_button(data(bytes(65))))
    await refuses(bot, errors.ButtonUrlInvalidError, with_button(url("ftp://example.org")))
    await refuses(bot, errors.ButtonTypeInvalidError, with_button(types.InlineButtonTypeBuy()))
    own = await ann.get_input_entity("boris")
    markup = types.ReplyInlineMarkup([])
    ask = functions.messages.SendMessageRequest(own, "text", random_id=2, reply_markup=markup)
    await refuses(ann, errors.ReplyMarkupInvalidError, ask)
    geo = types.InputMediaGeoPoint(types.InputGeoPoint(1.0, 2.0))
    await refuses(ann, errors.MediaInvalidError, functions.messages.SendMediaRequest(own, geo, "here", random_id=3))
    with io.BytesIO(picture("tg://x").getvalue()) as file:
        file.name = "x.png"
        uploaded = types.InputMediaUploadedPhoto(await ann.upload_file(file))
    ask = functions.messages.SendMediaRequest(own, uploaded, "x" * 1025, random_id=4)
    await refuses(ann, errors.MediaCaptionTooLongError, ask)


@case("messages.sendMedia", "upload.saveFilePart")
async def a_picture_of_megabytes_is_taken_in_the_parts_that_clients_make(stage: Stage) -> None:
    ann, boris = await stage.client("ann"), await stage.client("boris")
    large = io.BytesIO(picture("large").getvalue() + bytes(3 * 1024 * 1024))
    large.name = "large.png"
    uploaded = types.InputMediaUploadedPhoto(await ann.upload_file(large))
    await ann(functions.messages.SendMediaRequest(await ann.get_input_entity("boris"), uploaded, "", random_id=5))
    (read,) = await boris.get_messages("ann", limit=1)
    assert await boris.download_media(read, bytes) == large.getvalue()


@case("messages.forwardMessages")
async def a_forwarded_post_says_where_it_is_from(stage: Stage) -> None:
    ann, bot = await stage.client("ann"), await stage.client("sandbox_bot")
    channel = await stage.found("Press", "ann")
    (post,) = await stage.publish(channel["id"], "worth reading")
    heard = hear(bot, events.NewMessage(incoming=True))
    await ann.forward_messages("sandbox_bot", post, await ann.get_input_entity(channel["username"]))
    told = await soon(heard)
    assert (told.text, told.message.fwd_from.channel_post) == ("worth reading", post)
    assert told.message.fwd_from.from_id == types.PeerChannel(channel["id"])
    peer = await ann.get_input_entity("sandbox_bot")
    for ids, numbers, error in (
        ([10**6], 1, errors.MessageIdInvalidError),
        ([], 0, errors.MessageIdsEmptyError),
        ([post], 2, errors.RandomIdInvalidError),
    ):
        ask = functions.messages.ForwardMessagesRequest(
            await ann.get_input_entity(channel["username"]),
            ids,
            peer,
            random_id=[secrets.randbits(62) for _ in range(numbers)],
        )
        await refuses(ann, error, ask)


@case("messages.getDialogFilters")
async def folders_name_the_channels_in_them(stage: Stage) -> None:
    ann = await stage.client("ann")
    channel = await stage.found("Press", "ann")
    await stage.control.post("/folders", account="ann", id=7, title="News", channels=[channel["id"]])
    answer = await ann(functions.messages.GetDialogFiltersRequest())
    folder = next(each for each in answer.filters if getattr(each, "id", 0) == 7)
    assert (folder.title.text, [peer.channel_id for peer in folder.include_peers]) == ("News", [channel["id"]])
    await stage.control.post("/folders", account="ann", id=7, title="News", channels=[])
    answer = await ann(functions.messages.GetDialogFiltersRequest())
    assert all(getattr(each, "id", 0) != 7 for each in answer.filters)
