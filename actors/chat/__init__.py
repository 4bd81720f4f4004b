"""What the control bot says: commands, lists, signing in. No Telethon here: the bot speaks for these."""
