"""The plan of messages themselves: headers, entities, figures, buttons."""

from actors.telegram.plan import rows, typed

_SAME = """
id=>message_id peer_id=>channel_id date=>date
from_id=>sender reply_to=>reply_to_id,reply reactions=>post_stats.reactions silent=>silent ttl_period=>details.ttl
out!account mentioned!account media_unread!account saved_peer_id!account post!implied legacy!client
"""
"""Of posts and service messages alike."""

MESSAGE = rows(
    {
        "Message": _SAME
        + """
        message=>text entities=>entities media=>media rich_message=>media.rich
        fwd_from=>forward edit_date=>edited_at edit_hide=>details.edit_hidden grouped_id=>grouped_id
        post_author=>author pinned=>pinned noforwards=>noforwards
        views=>post_stats.views forwards=>post_stats.forwards replies=>post_stats.replies,discussion_id
        reply_markup=>details.buttons restriction_reason=>details.restrictions invert_media=>details.text_below_media
        via_bot_id=>details.via_bot via_business_bot_id=>details.via_business_bot guestchat_via_from=>details.guest_via
        from_boosts_applied=>details.boosts from_rank=>details.rank effect=>details.effect
        factcheck=>details.factcheck paid_message_stars=>details.paid_stars suggested_post=>details.suggested_post
        paid_suggested_post_stars=>details.paid_in_stars paid_suggested_post_ton=>details.paid_in_ton
        from_scheduled!sender schedule_repeat_period!sender video_processing_pending!sender
        quick_reply_shortcut_id!sender offline!private report_delivery_until_date!private
        summary_from_language!client
        """,
        "MessageService": _SAME + "action=>action reactions_are_possible!client",
        "MessageFwdHeader": """
        date from_id=from from_name=name channel_post=message_id post_author=author imported psa_type=psa
        saved_from_peer=saved_from saved_from_msg_id=saved_from_message_id saved_from_id=saved_sender
        saved_from_name=saved_name saved_date saved_out!account
        """,
        "MessageReplyHeader": """
        reply_to_msg_id=message_id reply_to_peer_id=peer reply_from=from reply_media=media reply_to_top_id=top_id
        forum_topic quote quote_text quote_entities quote_offset todo_item_id=item_id poll_option
        reply_to_scheduled!sender reply_to_ephemeral!passing
        """,
        "MessageReplyStoryHeader": "@type=story peer story_id",
        "MessageReplies": """
        replies=>post_stats.replies channel_id=>discussion_id comments!implied replies_pts!apart max_id!passing
        recent_repliers!passing read_max_id!account
        """,
        "FactCheck": "text country need_check!account hash!client",
        "SuggestedPost": "accepted rejected price schedule_date",
        "StarsAmount": "@currency=stars amount nanos",
        "StarsTonAmount": "@currency=ton amount",
        "RestrictionReason": "platform reason text",
        "TextWithEntities": "text entities",
        "PeerUser": "@type=user user_id=id",
        "PeerChat": "@type=chat chat_id=id",
        "PeerChannel": "@type=channel channel_id=id",
    }
)

REACTIONS = rows(
    {
        "MessageReactions": """
        results=>post_stats.reactions min!account can_see_list!account reactions_as_tags!account
        recent_reactions!passing top_reactors!passing
        """,
        "ReactionCount": "reaction=>key count=>value chosen_order!account",
        "ReactionEmpty": "@type=empty",
        "ReactionEmoji": "emoticon=>key",
        "ReactionCustomEmoji": "document_id=>key",
        "ReactionPaid": "@type=paid",
    }
)

_SPAN = "offset length"

ENTITIES = typed(
    "MessageEntity",
    {
        **dict.fromkeys(
            (
                *("Unknown", "Mention", "Hashtag", "BotCommand", "Url", "Email", "Bold", "Italic", "Code", "Phone"),
                *("Cashtag", "Underline", "Strike", "BankCard", "Spoiler", "DiffInsert", "DiffDelete"),
            ),
            _SPAN,
        ),
        "Pre": f"{_SPAN} language",
        "TextUrl": f"{_SPAN} url",
        "MentionName": f"{_SPAN} user_id",
        "CustomEmoji": f"{_SPAN} document_id",
        "Blockquote": f"{_SPAN} collapsed",
        "FormattedDate": f"{_SPAN} date relative short_time long_time short_date long_date day_of_week",
        "DiffReplace": f"{_SPAN} old_text",
    },
)

BUTTONS = (
    rows(
        {
            "ReplyKeyboardHide": "@type=hide selective!client",
            "ReplyKeyboardForceReply": "@type=force_reply placeholder single_use!client selective!client",
            "ReplyKeyboardMarkup": """
            @type=keyboard rows placeholder resize!client single_use!client selective!client persistent!client
            force_reply!client
            """,
            "ReplyInlineMarkup": "@type=inline rows force_reply!client",
            "KeyboardButtonRow": "buttons=.",
            "KeyboardInlineButtonRow": "buttons=.",
            "KeyboardButton": "text type=+ style!client",
            "KeyboardInlineButton": "text type=+ style!client",
            "RequestPeerTypeUser": "@type=user bot premium",
            "RequestPeerTypeChat": "@type=chat *!private",
            "RequestPeerTypeBroadcast": "@type=channel *!private",
            "RequestPeerTypeCreateBot": "@type=bot *!private",
        }
    )
    | typed(
        "ButtonType",
        {
            "Default": "",
            "RequestGeoLocation": "",
            "RequestPeer": "peer_type button_id!private max_quantity!private",
            "RequestPhone": "",
            "RequestPoll": "quiz?",
            "SimpleWebView": "url",
        },
    )
    | typed(
        "InlineButtonType",
        {
            "Buy": "",
            "Callback": "data!private requires_password!private",
            "Copy": "copy_text",
            "Disabled": "",
            "Game": "",
            "SwitchInline": "query same_peer peer_types!client",
            "Url": "url",
            "UrlAuth": "url fwd_text=forward_text button_id!private",
            "UserProfile": "user_id",
            "WebView": "url",
        },
    )
)

PLAN = MESSAGE | REACTIONS | ENTITIES | BUTTONS
