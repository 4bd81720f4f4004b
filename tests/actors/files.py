"""Posts with files in a sandbox, and what their files hold."""

from sandbox import files
from sandbox.codec.files import document_mime, document_size, file_id, photo_sizes
from sandbox.posts import File, Post

MEGABYTE = 1024 * 1024
DATE = 1_780_000_000


def publish(dc, channel_id, media, **file):
    """A new post with a file; its id."""
    made = File(**file) if file else None
    draft = lambda post_id: Post(id=post_id, date=DATE, media=media, file=made)  # noqa: E731 - one line
    return dc.dc.publish_drafts(dc.world.channels[channel_id], [draft])[0]


def key_and_content(dc, channel_id, post_id):
    """A file as the data centre makes it, past every method."""
    channel = dc.world.channels[channel_id]
    post = channel.posts[post_id]
    number = file_id(channel, post)
    if post.media == "photo":
        _, width, height = photo_sizes(post.file)[-1]
        return f"photo-{number}", files.photo(number, width, height)
    size = document_size(post)
    return f"document-{number}", files.document_part(number, size, 0, size, mime=document_mime(post))
