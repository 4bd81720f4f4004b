"""The plan of what a post carries: files, previews, polls, places, payments, gifts."""

from actors.telegram.plan import rows, typed

_HIDDEN = "access_hash!secret file_reference!secret"

MEDIA = typed(
    "MessageMedia",
    {
        "Empty": "",
        "Unsupported": "",
        "Photo": "photo=+ spoiler live_photo video ttl_seconds=ttl",
        "Document": """
        document=+ spoiler video=@video round=@round voice=@voice alt_documents=qualities video_cover=cover
        video_timestamp=starts_at ttl_seconds=ttl nopremium!client
        """,
        "WebPage": "@type=webpage webpage=+ force_large_media=large force_small_media=small manual safe",
        "Poll": "poll=+ results=>post_stats.results attached_media=attached",
        "ToDo": "todo=+ completions=>post_stats.results",
        "Dice": "value emoticon=emoji game_outcome=outcome",
        "Geo": "geo=+",
        "GeoLive": "geo=+ period heading proximity_notification_radius=alert_radius",
        "Venue": "geo=+ title address provider venue_id venue_type",
        "Contact": "phone_number=phone first_name last_name vcard user_id",
        "Game": "game=+",
        "Invoice": """
        title description currency total_amount=amount photo test shipping_address_requested=shipped start_param!client
        receipt_msg_id!account extended_media!account
        """,
        "Story": "peer id via_mention story!apart",
        "Giveaway": """
        channels quantity until_date countries_iso2=countries prize_description=prize months stars
        only_new_subscribers winners_are_visible
        """,
        "GiveawayResults": """
        channel_id launch_msg_id=launch_message_id winners_count unclaimed_count winners until_date
        additional_peers_count=other_channels months stars prize_description=prize only_new_subscribers refunded
        """,
        "PaidMedia": "stars_amount=stars extended_media=>count",
        "VideoStream": "call rtmp_stream=rtmp",
    },
)

FILES = rows(
    {
        "Photo": f"id date sizes=>w,h,size has_stickers video_sizes=>animated dc_id!client {_HIDDEN}",
        "PhotoEmpty": "id",
        "PhotoSize": "w h size type!client",
        "PhotoSizeProgressive": "w h sizes=>size type!client",
        "PhotoCachedSize": "w h bytes=>size type!client",
        "PhotoSizeEmpty": "type!client",
        "PhotoStrippedSize": "type!client bytes!client",
        "PhotoPathSize": "type!client bytes!client",
        "VideoSize": "*!client",
        "VideoSizeEmojiMarkup": "*!client",
        "VideoSizeStickerMarkup": "*!client",
        "Document": f"""
        id date mime_type=mime size attributes=+ thumbs!client video_thumbs!client dc_id!client {_HIDDEN}
        """,
        "DocumentEmpty": "id",
        "DocumentAttributeFilename": "file_name",
        "DocumentAttributeImageSize": "w h",
        "DocumentAttributeAnimated": "@kind=animation",
        "DocumentAttributeHasStickers": "@has_stickers=true",
        "DocumentAttributeSticker": "@kind=sticker alt=emoji stickerset=set mask mask_coords!client",
        "DocumentAttributeCustomEmoji": "@kind=custom_emoji alt=emoji stickerset=set free text_color",
        "DocumentAttributeVideo": """
        @kind=video round_message=@round duration w h nosound=silent video_codec=codec supports_streaming!client
        preload_prefix_size!client video_start_ts!client
        """,
        "DocumentAttributeAudio": "@kind=audio voice=@voice duration title performer waveform!client",
        "InputStickerSetEmpty": "",
        "InputStickerSetID": "id access_hash!secret",
        "InputStickerSetShortName": "short_name=name",
        "WebDocument": "url size mime_type=mime attributes=+ access_hash!secret",
        "WebDocumentNoProxy": "url size mime_type=mime attributes=+",
        "MessageExtendedMediaPreview": "*!account",
        "MessageExtendedMedia": "media!account",
    }
)

PREVIEWS = rows(
    {
        "WebPage": """
        url type=page_type site_name=site title description author photo document duration embed_url
        embed_type embed_width=embed_w embed_height=embed_h attributes
        display_url!implied id!client hash!client has_large_media!client video_cover_photo!client cached_page!apart
        """,
        "WebPageEmpty": "url id!client",
        "WebPagePending": "url id!client date!client",
        "WebPageNotModified": "cached_page_views!client",
    }
) | typed(
    "WebPageAttribute",
    {
        "Theme": "documents settings!client",
        "Story": "peer id story!apart",
        "StickerSet": "emojis text_color stickers",
        "UniqueStarGift": "gift",
        "StarGiftCollection": "icons",
        "StarGiftAuction": "gift end_date",
        "AiComposeTone": "emoji_id",
    },
)

OBJECTS = rows(
    {
        "Poll": """
        id question answers closed public_voters multiple_choice quiz open_answers revoting_disabled shuffle_answers
        hide_results_until_close subscribers_only close_period close_date countries_iso2=countries hash!client
        creator!account
        """,
        "PollAnswer": "text media added_by date option=>post_stats.results",
        "PollResults": """
        total_voters=voters results=>votes,correct solution solution_entities solution_media min!account
        has_unread_votes!account can_view_stats!account recent_voters!passing
        """,
        "PollAnswerVoters": "option=>place voters=>votes correct=>correct chosen!account recent_voters!passing",
        "TodoList": "title list=items others_can_append others_can_complete",
        "TodoItem": "id title",
        "TodoCompletion": "id completed_by=by date",
        "EmojiGameOutcome": "stake_ton_amount=stake ton_amount=won seed!client",
        "GeoPoint": "lat long accuracy_radius=accuracy access_hash!secret",
        "GeoPointEmpty": "",
        "Game": "id short_name title description photo document access_hash!secret",
        "InputGroupCall": "id access_hash!secret",
        "InputGroupCallSlug": "slug",
        "InputGroupCallInviteMessage": "msg_id=message_id",
        "WallPaper": "id slug document creator!account access_hash!secret default!client pattern dark settings!client",
        "WallPaperNoFile": "id default!client dark settings!client",
    }
)

GIFTS = (
    rows(
        {
            "StarGift": """
            id title stars sticker limited birthday require_premium auction auction_slug released_by
            availability_total upgrade_stars convert_stars
            availability_remains!passing availability_resale!passing sold_out!passing first_sale_date!passing
            last_sale_date!passing resell_min_stars!passing upgrade_variants!passing locked_until_date!account
            limited_per_user!account per_user_total!account per_user_remains!account peer_color_available!client
            gifts_per_round!client auction_start_date background!client
            """,
            "StarGiftUnique": """
            id gift_id title slug num attributes availability_total crafted released_by
            owner_id!passing owner_name!passing owner_address!passing gift_address host_id!passing
            availability_issued!passing resell_amount!passing resale_ton_only!passing value_amount!passing
            value_currency!passing value_usd_amount!passing offer_min_stars!passing burned!passing
            theme_peer!passing theme_available!client require_premium peer_color!client craft_chance_permille!client
            """,
        }
    )
    | typed(
        "StarGiftAttribute",
        {
            "Model": "name document rarity crafted",
            "Pattern": "name document rarity",
            "Backdrop": """
            name backdrop_id=id rarity center_color!client edge_color!client pattern_color!client text_color!client
            """,
            "OriginalDetails": "recipient_id=recipient sender_id=sender date message",
        },
    )
    | rows({"StarGiftAttributeRarity": "@type=share permille"})
    | typed("StarGiftAttributeRarity", {"Epic": "", "Legendary": "", "Rare": "", "Uncommon": ""})
)

PLAN = MEDIA | FILES | PREVIEWS | OBJECTS | GIFTS
