"""An account that locates files and fetches their parts, over a socket to the sandbox."""

from datetime import timedelta

import pytest

from actors.errors import ChannelLost, FileLost, FloodWaited, Refused, TryAgain
from actors.messages.account import PART, FetchDifference, FetchHistory, FetchPart, LocatedFile, LocateFiles
from actors.messages.ids import AccountId, ChannelId
from actors.telegram.line import Task
from sandbox.world import OTHER_DC_ID
from tests.actors.files import MEGABYTE, key_and_content, publish
from tests.actors.telegram.house import House, account_ids, calls, fail


@pytest.fixture
async def house(dc, store, owner):
    house = House(dc, store, owner, AccountId(account_ids(dc)[0]))
    await house.up()
    yield house
    house.signed_in.close()


async def locate(house, channel_id, *message_ids):
    located = await house.ref.call(LocateFiles(channel_id=channel_id, message_ids=message_ids))
    return {file.message_id: file for file in located.files}


async def fetch(house, channel_id, file_key, offset=0):
    return (await house.ref.call(FetchPart(channel_id=channel_id, file_key=file_key, offset=offset))).data


async def whole(house, channel_id, file):
    return b"".join([await fetch(house, channel_id, file.file_key, at) for at in range(0, file.size, PART)])


@pytest.mark.parametrize(
    ("media", "file"),
    [
        ("photo", {}),
        ("photo", {"width": 1280, "height": 960}),
        ("document", {"size": MEGABYTE + 5, "name": "a.pdf"}),
        ("document", {"size": PART}),
        ("voice", {}),
        ("sticker", {}),
    ],
)
async def test_a_file_comes_part_by_part_as_it_is(house, dc, media, file):
    channel_id = house.channel_ids[0]
    post_id = publish(dc, channel_id, media, **file)
    key, content = key_and_content(dc, channel_id, post_id)
    found = await locate(house, channel_id, post_id)
    assert found == {post_id: LocatedFile(message_id=post_id, file_key=key, size=len(content))}
    assert await whole(house, channel_id, found[post_id]) == content


async def test_many_files_are_located_by_one_call_and_each_part_is_one(house, dc):
    channel_id = house.channel_ids[0]
    ids = [publish(dc, channel_id, "document", size=100 + number) for number in range(5)]
    text = (await dc.publish(channel_id, text="no file"))[0]
    before = calls(dc, house.id)
    found = await locate(house, channel_id, *ids, text, 10**6)
    assert sorted(found) == ids
    for file in found.values():
        assert len(await fetch(house, channel_id, file.file_key)) == file.size
    after = calls(dc, house.id)
    assert after["channels.getMessages"] - before.get("channels.getMessages", 0) == 1
    assert after["upload.getFile"] - before.get("upload.getFile", 0) == 5


async def test_what_was_never_located_or_has_expired_is_to_be_located_again(house, dc):
    channel_id = house.channel_ids[0]
    post_id = publish(dc, channel_id, "document", size=2 * MEGABYTE)
    key, _ = key_and_content(dc, channel_id, post_id)
    with pytest.raises(FileLost, match="it wasn't located"):
        await fetch(house, channel_id, key)
    await locate(house, channel_id, post_id)
    await fetch(house, channel_id, key)
    dc.world.expire_references()
    with pytest.raises(FileLost, match="FILE_REFERENCE_EXPIRED"):
        await fetch(house, channel_id, key, PART)
    with pytest.raises(FileLost, match="it wasn't located"):
        await fetch(house, channel_id, key, PART)
    await locate(house, channel_id, post_id)
    assert len(await fetch(house, channel_id, key, PART)) == PART


@pytest.mark.parametrize("name", ["FILE_REFERENCE_INVALID", "FILE_REFERENCE_0_EXPIRED", "LOCATION_INVALID"])
async def test_every_name_of_an_expired_location_says_so(house, dc, name):
    channel_id = house.channel_ids[0]
    post_id = publish(dc, channel_id, "photo")
    key, _ = key_and_content(dc, channel_id, post_id)
    await locate(house, channel_id, post_id)
    fail(dc, "upload.getFile", (400, name))
    with pytest.raises(FileLost):
        await fetch(house, channel_id, key)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ((420, "FLOOD_WAIT_30"), FloodWaited),
        ((420, "FLOOD_PREMIUM_WAIT_30"), FloodWaited),
        ((500, "TIMEOUT"), TryAgain),
        ((400, "CHANNEL_PRIVATE"), ChannelLost),
        ((400, "OFFSET_INVALID"), Refused),
    ],
)
async def test_other_faults_stay_what_they_are(house, dc, error, kind):
    channel_id = house.channel_ids[0]
    post_id = publish(dc, channel_id, "photo")
    await locate(house, channel_id, post_id)
    fail(dc, "upload.getFile", error)
    with pytest.raises(kind) as refused:
        await fetch(house, channel_id, key_and_content(dc, channel_id, post_id)[0])
    if kind is FloodWaited:
        assert timedelta(seconds=30) <= refused.value.wait <= timedelta(seconds=33)
        before = calls(dc, house.id)["upload.getFile"]
        with pytest.raises(FloodWaited):
            await fetch(house, channel_id, key_and_content(dc, channel_id, post_id)[0])
        assert calls(dc, house.id)["upload.getFile"] == before


async def test_a_channel_that_the_account_doesnt_know_is_lost(house):
    with pytest.raises(ChannelLost):
        await locate(house, ChannelId(1), 1)


@pytest.mark.parametrize("moved", ["before it is located", "after"])
async def test_files_are_fetched_from_the_other_data_centre(house, dc, moved):
    channel_id = house.channel_ids[0]
    post_id = publish(dc, channel_id, "document", size=3 * PART + 7)
    _, content = key_and_content(dc, channel_id, post_id)
    if moved == "after":
        found = await locate(house, channel_id, post_id)
        dc.world.move_files(OTHER_DC_ID)
    else:
        dc.world.move_files(OTHER_DC_ID)
        found = await locate(house, channel_id, post_id)
    assert await whole(house, channel_id, found[post_id]) == content
    counts = calls(dc, house.id)
    assert counts["auth.exportAuthorization"] == 1
    assert counts["upload.getFile"] == 4 + (moved == "after")


async def test_the_other_data_centre_is_left_with_the_account_and_reached_again_after_a_drop(house, dc):
    channel_id = house.channel_ids[0]
    post_id = publish(dc, channel_id, "document", size=2 * PART)
    _, content = key_and_content(dc, channel_id, post_id)
    dc.world.move_files(OTHER_DC_ID)
    found = await locate(house, channel_id, post_id)
    assert await fetch(house, channel_id, found[post_id].file_key) == content[:PART]
    dc.drop_connections()
    assert await fetch(house, channel_id, found[post_id].file_key, PART) == content[PART:]
    await house.stop()


async def test_a_refused_authorization_of_the_other_data_centre_is_the_calls_fault(house, dc):
    channel_id = house.channel_ids[0]
    post_id = publish(dc, channel_id, "photo")
    dc.world.move_files(OTHER_DC_ID)
    found = await locate(house, channel_id, post_id)
    fail(dc, "auth.exportAuthorization", (500, "TIMEOUT"))
    with pytest.raises(TryAgain):
        await fetch(house, channel_id, found[post_id].file_key)
    assert await whole(house, channel_id, found[post_id]) == key_and_content(dc, channel_id, post_id)[1]


def test_files_give_way_to_pages_of_history():
    urgent = [FetchHistory(channel_id=ChannelId(1), offset_id=0), FetchDifference(channel_id=ChannelId(1), pts=1)]
    patient = [FetchPart(channel_id=ChannelId(1), file_key="photo-1", offset=0),
               LocateFiles(channel_id=ChannelId(1), message_ids=(1,))]  # fmt: skip
    lanes = [Task(request=each, since=0.0).lane(in_takeout=False) for each in urgent + patient]
    assert [is_patient for _, is_patient in lanes] == [False, False, True, True]
