"""Values in the shape of what Slack exports, as wrong as the fuzzer wants them."""

from tests.fuzz.draws import Draws

KEYS = (
    *("type", "subtype", "text", "user", "ts", "thread_ts", "blocks", "attachments", "files", "file", "reactions"),
    *("elements", "fields", "comment", "edited", "hidden", "deleted_ts", "message", "previous_message", "root"),
    *("bot_id", "bot_profile", "user_profile", "username", "name", "count", "users", "title", "value", "fallback"),
    *("pretext", "author_name", "footer", "url", "user_id", "channel_id", "usergroup_id", "range", "alt_text", "style"),
    *("plain_text", "preview_plain_text", "preview", "initial_comment", "mode", "access", "transcription", "content"),
    *("pinned_to", "pinned_info", "message_blocks", "permalink", "rows", "indent", "border", "team", "channels"),
    *("id", "members", "profile", "display_name", "real_name", "is_private", "is_im", "is_mpim", "is_group"),
    *("is_general", "is_restricted", "is_bot", "deleted", "team_id", "context_team_id", "shared_team_ids"),
    *("enterprise_user", "teams", "internal_team_ids", "groups", "ims", "filetype", "mimetype", "pins", "created"),
    *("html", "shares", "public", "private", "C1", "G1", "is_deleted"),
)
WORDS = (
    *("message", "U1", "U2", "USLACKBOT", "C1", "G1", "D1", "T1", "E1", "general", "salaries", "everyone", "T1/G1"),
    *("1700000000.000100", "1700000060.000200", "1700000000.000300", "0", "99999999999.9", "1700000000"),
    *("bot_message", "tombstone", "message_deleted", "message_changed", "message_replied", "thread_broadcast"),
    *("file_share", "file_comment", "file_mention", "channel_join", "pinned_item", "reply_broadcast", "me_message"),
    *("rich_text", "rich_text_section", "rich_text_list", "rich_text_quote", "rich_text_preformatted", "section"),
    *("header", "context", "link", "emoji", "user", "channel", "usergroup", "broadcast", "date", "mrkdwn", "table"),
    *("<@U1|Ada> and <#G1|salaries>", "<!here> <!date^1^{date}|then>", "~struck~ *bold* `code`", "a & b < c > d"),
    *("white_check_mark", "check_file_info", "slack_file", "<https://x.example|x>", "\ud800", "a\0b", "x" * 300),
    *("\u202egnp.exe", "U1: said so\nU2: and so", "email", "snippet", "<b>bold</b>", "quip", "canvas", "tables"),
    *("F00001", "<h1>Plan</h1><p hidden>x</p>y"),
)
TIMES = ("1700000000.000100", "1700000060.000200", "1700000120.000300", "1700100000.000400", "0.0", "x", "")
DEEPEST = 24


def value_of(draws: Draws, depth: int = 0) -> object:
    """Any value that JSON can hold, most often of Slack's own words; ends when the bytes do."""
    kind = draws.byte() % 16
    if draws.done or depth > DEEPEST:
        return None
    if kind in (0, 1, 2, 3):
        return {draws.pick(KEYS): value_of(draws, depth + 1) for _ in range(draws.byte() % 8)}
    if kind in (4, 5, 6):
        return [value_of(draws, depth + 1) for _ in range(draws.byte() % 6)]
    return _scalar(draws, kind)


def _scalar(draws: Draws, kind: int) -> object:
    if kind in (7, 8, 9, 10):
        return draws.pick(WORDS)
    if kind in (11, 12):
        return draws.text()
    if kind == 13:
        return draws.number(1 + draws.byte() % 16) * (1 if draws.byte() % 2 else -1)
    return draws.pick((None, True, False, 0.5, "", 1e300))


def message_of(draws: Draws) -> object:
    """Mostly something that begins as a message and goes on as anything."""
    if draws.byte() % 8 == 0:
        return value_of(draws)
    message: dict[str, object] = {"type": "message", "ts": draws.pick(TIMES), "user": draws.pick(("U1", "U2", "U9"))}
    if draws.byte() % 4:
        message["text"] = draws.pick(WORDS)
    return message | {draws.pick(KEYS): value_of(draws, 1) for _ in range(draws.byte() % 6)}
