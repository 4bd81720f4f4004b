import time
from typing import Any

from telethon.tl import functions, types

from sandbox.codec import DC_ID
from sandbox.dispatch import Call, Methods


def get_config(call: Call, _: Any) -> Any:
    """Names this data centre alone, so that no client finds a door to another."""
    now = int(time.time())
    return types.Config(
        date=now,
        expires=now + 3600,
        test_mode=False,
        this_dc=DC_ID,
        dc_options=[types.DcOption(DC_ID, call.dc.address, call.dc.port, ipv6=":" in call.dc.address or None)],
        dc_txt_domain_name="invalid",
        chat_size_max=200,
        megagroup_size_max=200_000,
        forwarded_count_max=100,
        online_update_period_ms=210_000,
        offline_blur_timeout_ms=5_000,
        offline_idle_timeout_ms=30_000,
        online_cloud_timeout_ms=300_000,
        notify_cloud_delay_ms=30_000,
        notify_default_delay_ms=1_500,
        push_chat_period_ms=60_000,
        push_chat_limit=2,
        edit_time_limit=172_800,
        revoke_time_limit=2_147_483_647,
        revoke_pm_time_limit=2_147_483_647,
        rating_e_decay=2_419_200,
        stickers_recent_limit=200,
        channels_read_media_period=604_800,
        call_receive_timeout_ms=20_000,
        call_ring_timeout_ms=90_000,
        call_connect_timeout_ms=30_000,
        call_packet_timeout_ms=10_000,
        me_url_prefix="https://t.me/",
        caption_length_max=1_024,
        message_length_max=4_096,
        webfile_dc_id=DC_ID,
    )


def get_nearest_dc(_call: Call, _: Any) -> Any:
    return types.NearestDc(country="ZZ", this_dc=DC_ID, nearest_dc=DC_ID)


HANDLERS: Methods = {
    functions.help.GetConfigRequest: get_config,
    functions.help.GetNearestDcRequest: get_nearest_dc,
}
