"""The plan of rich messages: text with headings, tables and files in between, as a tree of blocks."""

from actors.telegram.plan import rows, typed

MESSAGE = rows(
    {
        "RichMessage": "blocks photos documents rtl part",
        "PageCaption": "text credit",
        "PageButton": "text type=+ style!client",
        "PageListItemText": "text checkbox checked",
        "PageListItemBlocks": "blocks checkbox checked",
        "PageListOrderedItemText": "text num value type=numbering checkbox checked",
        "PageListOrderedItemBlocks": "blocks num value type=numbering checkbox checked",
        "PageTableRow": "cells=.",
        "PageTableCell": """
        text header colspan rowspan align_center!client align_right!client valign_middle!client valign_bottom!client
        """,
        "PageRelatedArticle": "url title description photo_id author published_date webpage_id!client",
        "Channel": "@type=channel id title username *!apart",
        "ChannelForbidden": "@type=channel id title *!apart",
        "Chat": "@type=chat id title *!apart",
        "ChatForbidden": "@type=chat id title",
        "ChatEmpty": "@type=chat id",
        "Community": "@type=community id title *!apart",
        "CommunityForbidden": "@type=community id title *!apart",
    }
)

BLOCKS = typed(
    "PageBlock",
    {
        **dict.fromkeys(
            (
                *("Footer", "Header", "Heading1", "Heading2", "Heading3", "Heading4", "Heading5", "Heading6", "Kicker"),
                *("Paragraph", "Subheader", "Subtitle", "Thinking", "Title"),
            ),
            "text",
        ),
        "Unsupported": "",
        "Divider": "",
        "Anchor": "name",
        "Audio": "audio_id caption",
        "AuthorDate": "author published_date",
        "Blockquote": "text caption collapsed",
        "BlockquoteBlocks": "blocks caption",
        "ButtonRow": "buttons align_left!client align_center!client align_right!client",
        "Channel": "channel",
        "Collage": "items caption",
        "Cover": "cover",
        "Details": "title blocks open!client",
        "Document": "document_id caption",
        "Embed": """
        url html caption poster_photo_id w!client h!client full_width!client allow_scrolling!client
        """,
        "EmbedPost": "url author date blocks caption author_photo_id webpage_id!client",
        "List": "items",
        "Map": "geo caption zoom!client w!client h!client",
        "Math": "source",
        "OrderedList": "items reversed start type=numbering",
        "Photo": "photo_id caption spoiler url webpage_id!client",
        "Preformatted": "text language",
        "Pullquote": "text caption",
        "RelatedArticles": "title articles",
        "Slideshow": "items caption",
        "Table": "title rows bordered!client striped!client compact!client",
        "Video": "video_id caption spoiler autoplay!client loop!client",
    },
)

TEXTS = rows({"TextPlain": "text=.", "TextConcat": "texts=."}) | typed(
    "Text",
    {
        **dict.fromkeys(
            (
                *("AutoEmail", "AutoPhone", "AutoUrl", "BankCard", "Bold", "BotCommand", "Cashtag", "Fixed", "Hashtag"),
                *("Italic", "Marked", "Mention", "Spoiler", "Strike", "Subscript", "Superscript", "Underline"),
            ),
            "text",
        ),
        "Empty": "",
        "Anchor": "text name",
        "Button": "text type=button style!client",
        "CustomEmoji": "document_id alt",
        "Date": "text date relative short_time long_time short_date long_date day_of_week",
        "Diff": "text old_text",
        "Email": "text email",
        "Image": "document_id w h",
        "Math": "source",
        "MentionName": "text user_id",
        "Phone": "text phone",
        "Url": "text url webpage_id!client",
    },
)

PLAN = MESSAGE | BLOCKS | TEXTS
