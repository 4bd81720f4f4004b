"""The plan of service messages: what happened in the channel."""

from actors.telegram.plan import rows, typed

_PAID = "currency amount crypto_currency crypto_amount"

ACTIONS = typed(
    "MessageAction",
    {
        "Empty": "",
        "CustomAction": "message",
        # the channel or group itself
        "ChatCreate": "title users",
        "ChannelCreate": "title",
        "ChatEditTitle": "title",
        "ChatEditPhoto": "photo",
        "ChatDeletePhoto": "",
        "ChatMigrateTo": "channel_id",
        "ChannelMigrateFrom": "title chat_id",
        "ChangeCreator": "new_creator_id",
        "NewCreatorPending": "new_creator_id",
        "ChangeCommunity": "community_id",
        "PinMessage": "",
        "HistoryClear": "",
        "SetMessagesTTL": "period auto_setting_from",
        "SetChatTheme": "theme",
        "SetChatWallPaper": "wallpaper same for_both",
        "NoForwardsToggle": "prev_value? new_value?",
        "NoForwardsRequest": "prev_value? new_value? expired",
        "TopicCreate": "title icon_emoji_id icon_color!client title_missing",
        "TopicEdit": "title icon_emoji_id closed? hidden?",
        # its members
        "ChatAddUser": "users",
        "ChatDeleteUser": "user_id",
        "ChatJoinedByLink": "inviter_id",
        "ChatJoinedByRequest": "",
        "ChatJoinedViaCommunity": "community_id",
        "BoostApply": "boosts",
        "GeoProximityReached": "from_id=from to_id=to distance",
        # calls
        "GroupCall": "call duration",
        "GroupCallScheduled": "call schedule_date",
        "InviteToGroupCall": "call users",
        "ConferenceCall": "call_id missed active video duration other_participants=participants",
        # polls and lists
        "PollAppendAnswer": "answer",
        "PollDeleteAnswer": "answer",
        "TodoCompletions": "completed incompleted",
        "TodoAppendTasks": "list=items",
        # giveaways, gifts and payments
        "GiveawayLaunch": "stars",
        "GiveawayResults": "winners_count unclaimed_count stars",
        "PrizeStars": "stars boost_peer giveaway_msg_id=giveaway_message_id unclaimed transaction_id!account",
        "GiftCode": f"days via_giveaway unclaimed boost_peer {_PAID} message slug!account",
        "GiftPremium": f"days {_PAID} message",
        "GiftStars": f"stars {_PAID} transaction_id!account",
        "GiftTon": f"{_PAID} transaction_id!account",
        "StarGift": """
        gift message convert_stars upgrade_stars from_id=from to_id=to peer gift_num prepaid_upgrade upgrade_separate
        auction_acquired upgraded refunded name_hidden saved!account converted!account can_upgrade!account
        saved_id!account upgrade_msg_id!account gift_msg_id!account prepaid_upgrade_hash!secret
        """,
        "StarGiftUnique": """
        gift message upgrade transferred prepaid_upgrade assigned from_offer craft refunded name_hidden from_id=from
        peer resale_amount=resale saved!account saved_id!account can_export_at!account transfer_stars!account
        can_transfer_at!account can_resell_at!account can_craft_at!account drop_original_details_stars!account
        """,
        "StarGiftPurchaseOffer": "gift price expires_at accepted declined",
        "StarGiftPurchaseOfferDeclined": "gift price expired",
        "PaidMessagesPrice": "stars broadcast_messages_allowed",
        "PaidMessagesRefunded": "count stars",
        "SuggestedPostApproval": "rejected balance_too_low reject_comment schedule_date price",
        "SuggestedPostSuccess": "price",
        "SuggestedPostRefund": "payer_initiated",
        # between a person and another, or a bot
        "BotAllowed": "attach_menu from_request domain app!private",
        "ContactSignUp": "",
        "GameScore": "game_id score",
        "ManagedBotCreated": "bot_id",
        "PaymentRefunded": "peer currency total_amount=amount charge!private payload!private",
        "PaymentSent": """
        currency total_amount=amount recurring_init recurring_used subscription_until_date invoice_slug!private
        """,
        "PaymentSentMe": """
        currency total_amount=amount recurring_init recurring_used subscription_until_date payload!private
        charge!private info!private shipping_option_id!private
        """,
        "PhoneCall": "call_id video duration reason!private",
        "RequestedPeer": "peers button_id!private",
        "RequestedPeerSentMe": "peers!private button_id!private",
        "ScreenshotTaken": "",
        "SecureValuesSent": "types!private",
        "SecureValuesSentMe": "values!private credentials!private",
        "SuggestBirthday": "birthday!private",
        "SuggestProfilePhoto": "photo!private",
        "WebViewDataSent": "text",
        "WebViewDataSentMe": "text data!private",
    },
)

THEMES = rows(
    {
        "ChatTheme": "emoticon=emoji",
        "ChatThemeUniqueGift": "gift theme_settings!client",
    }
)

PLAN = ACTIONS | THEMES
