"""The only way for text to get out: whatever a model or a document wrote passes here before anybody sees it.

What leaves has no link but those it was allowed, spelled out bare; no mention; no control token; no character that
nobody can see. Words stay: a link gives way to its label, a bare host is pulled apart ("example. com") so that nothing
makes it a link again, and only what has no words of its own becomes `[link removed]`. A number in square brackets is
a citation, and only the caller may set one: what a text brings is shown as "(7)".

Removing one construct may join the pieces of another. So the rules run until they change nothing: the result is a
text in which none of them finds anything, and rendering it again gives the same text. Every rule is linear in the
length of the text.

A caller who streams renders whole sentences and joins them with white space or a citation. No piece holds a bracket
without its partner, or one that goes on as a link, a reference or a definition does, so none is half of a link. A host
has no end of a sentence inside; pieces cut anywhere else must be joined before they come here.
"""

import html
import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Final
from urllib.parse import unquote

LINK_REMOVED: Final = "[link removed]"
TEXT_REMOVED: Final = "[text removed]"
ROUNDS: Final = 8
"""Nested deeper than this is no writing of people: such a text is withheld."""

# Characters of private use in the last planes stand for allowed links while the rules work; no text may bring its own.
_FOREIGN: Final = "\U000f0000"
_GONE: Final = "\U0010fffd"  # where a mention was, until its comma has followed it
_FIRST_ALLOWED: Final = 0xF0001
_PRIVATE: Final = "\U000f0000-\U0010ffff"

# Joiners stay where a script or an emoji is misspelled without them.
_JOINED_SCRIPTS: Final = "\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc"
_EMOJI: Final = "\u00a9\u00ae\u2190-\u2bff\u3030\u303d\U0001f000-\U0001faff"
_INVISIBLE: Final = re.compile(
    rf"""
      [\x00-\x08\x0b-\x1f\x7f-\x9f]                                 # C0 and C1, but for tab and newline
    | [\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f]     # soft hyphen, joiner, fillers, selectors
    | [\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb]  # zero width, bidi, fillers
    | [\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]                      # what no text may hold
    | [\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff] # shorthand, music, tags, selectors
    | [{_PRIVATE}]
    """,
    re.VERBOSE,
)
_STRAY_SELECTOR: Final = re.compile(rf"(?<![{_EMOJI}0-9#*])[\ufe00-\ufe0f]")
_STRAY_JOINER: Final = re.compile(rf"(?<![{_JOINED_SCRIPTS}])\u200c|(?<![{_JOINED_SCRIPTS}{_EMOJI}\ufe0f])\u200d")
_NEWLINE: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL: Final = re.compile(
    r"""
      <\|[^|<>\n]{0,64}\|> | <\uff5c[^\uff5c<>\n]{0,64}\uff5c>
    | </?(?:s|think|tool_call|tool_response|bos|eos|pad|unk|mask)> | <(?:start|end)_of_turn>
    | <</?SYS>> | \[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]
    """,
    re.VERBOSE | re.IGNORECASE,
)
_HALF_CONTROL: Final = re.compile(r"<(?=[|\uff5c])|[|\uff5c](?=>)")

_DOT: Final = r"\\?[.\u3002]"
_LABEL: Final = rf"[^\s\x00-,./:-@\[-^`{{-\x7f\xa1-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\u2010-\u205e\u3001-\u301f{_PRIVATE}]"
_HOST: Final = re.compile(rf"(?<!{_LABEL})({_LABEL}++)((?:{_DOT}{_LABEL}++)++)")
_DOTTED: Final = re.compile(rf"({_DOT})({_LABEL}++)")
_TOP_LEVEL: Final = re.compile(r"xn--|[^\W\d_](?:[^\W\d_]|[^\x00-\x7f])+(?!\w)", re.IGNORECASE)
_REST: Final = re.compile(r"(?::\d{1,5})?[/?#\\][^\s<>]")
# Endings of file names under which no domain can be registered.
_FILE_ENDING: Final = re.compile(
    "pdf|docx?|xlsx?|pptx?|od[ts]|rtf|txt|[ct]sv|jsonl?|ya?ml|toml|ini|cfg|conf|log|html?|x[ms]l|css|[jt]s|sql|db|png|"
    "jpe?g|gif|svg|webp|wav|avi|exe|msi|dmg|bat|dll|iso|tar|gz|bak|tmp",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(
    r"(?<![a-z0-9+.-])[a-z0-9+.-]{2,}+\\*+:[\\/]++"
    r"|(?<![a-z0-9])(?:https?|ftps?|wss?|javascript|vbscript|data|file|blob|view-source)\\*+:(?=\S)"
    r"|(?<![a-z0-9])www\\?[.\u3002](?=\S)",
    re.IGNORECASE,
)
_ADDRESS_SCHEME: Final = re.compile(
    r"(?<![a-z0-9])(mailto|tel|sms|callto|skype|sip|xmpp|slack|magnet|urn|about)\\*+:(?=\S)", re.IGNORECASE
)
_SLASHES: Final = re.compile(r"(?<![\w:/\\])[\\/]{2,}+(?=[^\s\\/])")
_IP6: Final = re.compile(
    r"(?<![\w:])(?:(?=[0-9a-f:]*::)(?=:*+[0-9a-f])[0-9a-f:]++|(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4})", re.IGNORECASE
)
_IP4: Final = re.compile(rf"(?<!\d)(?<!\d\.)(\d{{1,3}}(?:{_DOT}\d{{1,3}}){{2}}{_DOT})(\d{{1,3}})(?!\d|\.\d)")
_SWALLOWED: Final = re.compile(rf"{_FOREIGN}[^\s<>]*+")
_MENTION: Final = re.compile(r"(?:(?<!@)@++|(?<![\w!])!++)(?=(?:here|channel|everyone|group|subteam)\b)", re.IGNORECASE)
_MENTION_FIRST: Final = re.compile(rf"^[ \t]*+(?:{_GONE}[ \t]*+)++(?:[,;:!][ \t]++)?", re.MULTILINE)
_MENTION_LAST: Final = re.compile(rf"(?<![ \t]),?[ \t]*+(?:{_GONE}[ \t]*+)++(?=[,.;:!?)])")

_DEFINITION: Final = re.compile(r"^ {0,3}\[([^\[\]\n]++)\]:[ \t]*+(\S++).*$", re.MULTILINE)
_REFERENCE: Final = re.compile(r"(?<![\w\]])!?\[(?!\s*+\^?\d++\s*+\])([^\[\]]++)\]\[([^\[\]]*+)\]")
_MARKDOWN: Final = re.compile(r"(!?)\[([^\[\]]*+)\]\(((?:[^()]|\([^()]*+\))*+)\)")
_ESCAPED_BRACKET: Final = re.compile(r"(?<!\\)\\++(?=[\[\]])")
_BRACKET: Final = re.compile(r"[\[\]]")
_GOES_ON: Final = re.compile(r"\](?=[(\[])")
_DIGIT: Final = r"\d\u00b2\u00b3\u00b9\u2070-\u2079\u2080-\u2089\u2460-\u249b"
_NUMBER: Final = rf"\[[\s*_`]*+\^?([{_DIGIT}](?:[{_DIGIT}\s,;\u2010-\u2015-]*[{_DIGIT}])?)(?:[\s*_`;]|&nbsp;)*+\]"
_ANY_NUMBER: Final = re.compile(_NUMBER)
# Numbers before a sentence or after its end are citations; inside it they may be what it is about.
_FIRST_NUMBERS: Final = re.compile(rf"\A\s*+(?:{_NUMBER}\s*+)++")
_LAST_NUMBERS: Final = re.compile(rf"(?<=[.!?\u2026\u3002])(?:\s*+{_NUMBER})++\s*+\Z")
_HEADING: Final = re.compile(r"\A\s*+(?:#{1,6}[ \t]++)++(?=\S)")
_LONE_ITEM: Final = re.compile(r"\A\s*+[-*+\u2022\u2013][ \t]++(?=[^\W\d_]|\[\d)(?=[^\n]*+\s*+\Z)")
_COMMENT_ENDS: Final = re.compile(r"<!--|-->")
_ANGLE: Final = re.compile(r"<([^\s\d<=>-][^<>]*+)>")
# Before a number it is "less than", unless the number is what a link of Slack's points to.
_OPEN_ANGLE: Final = re.compile(r"(?<!<)<++(?=[^\s\d<=>-]|\d[^\s<>|]{0,200}\|)")
_BLOCK_TAG: Final = re.compile("br|div|d[dt]|h[1-6r]|li|p|pre|t[dhr]", re.IGNORECASE)
_INLINE_TAG: Final = re.compile(
    "a|abbr|area|audio|b|base|blockquote|body|button|code|details|dl|em|embed|font|form|frame|head|html|i|iframe|img|"
    "input|kbd|link|main|map|math|meta|nav|object|ol|option|picture|q|s|script|section|select|small|source|span|strong|"
    "style|sub|summary|sup|svg|table|tbody|template|textarea|thead|title|track|u|ul|video",
    re.IGNORECASE,
)
_RISKY: Final = (_SCHEME, _ADDRESS_SCHEME, _SLASHES, _IP6, _MENTION, _CONTROL, _HALF_CONTROL, _OPEN_ANGLE)

# What an allowed uri may consist of: nothing that a reader's program takes for markup, a mention or another host.
_PERMALINK: Final = re.compile(
    r"https?://[a-z0-9][a-z0-9.-]*+(?::\d{1,5})?(?:[/?#][\w.~/%?#=&+,;:-]*+)?", re.ASCII | re.IGNORECASE
)
_PATH: Final = re.compile(r"(?!/)(?=[^#]*[a-zA-Z])(?:[a-zA-Z0-9_.~%=+,-]|/(?!/))++(?:#[\w-]++)?")
_PAGE_ENDING: Final = re.compile(r"(?<=[^/.])\.(?:md|markdown|txt)\Z", re.IGNORECASE)
_WORD: Final = re.compile(rf"[^\s{_PRIVATE}]+")
_GAPS: Final = re.compile(r"(?<=\S)[ \t]{2,}+")
_LINE_ENDS: Final = re.compile(r"(?<![ \t])[ \t]++(?=\n|\Z)")


def plain_text(text: str) -> str:
    """The text in NFC, without invisible characters and without control tokens of any model family.

    Joiners and selectors stay where a script or an emoji needs them; tabs and newlines stay. Idempotent.
    """
    return _without_control(_visible(text))


def render_text(text: str, allowed_uris: Collection[str] = ()) -> str:
    """The text as the world may see it: no link but those spelled exactly like an allowed uri, no mention.

    A uri is a file's path or a permalink, percent-encoded, in the spelling of its document; one that could act (a
    scheme that is not the web's, a path that looks like a host, markup, a mention) is not allowed by being named. Pure,
    idempotent and linear. A text whose constructs are nested deeper than `ROUNDS` becomes `TEXT_REMOVED`.
    """
    uris = [uri for uri in allowed_uris if _may_leave(unicodedata.normalize("NFC", uri))]
    allowed = {unicodedata.normalize("NFC", uri): chr(_FIRST_ALLOWED + n) for n, uri in enumerate(uris)}
    spelled = str.maketrans({chr(_FIRST_ALLOWED + n): uri for n, uri in enumerate(uris)})
    pattern = _exactly(allowed)
    for _ in range(ROUNDS):
        hidden = pattern.sub(lambda found: allowed[found[0]], plain_text(text)) if pattern else plain_text(text)
        rendered = _pass(hidden).translate(spelled)
        if rendered == text:
            return text
        text = rendered
    return TEXT_REMOVED


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", _NEWLINE.sub("\n", text)))
    # In this order: what a joiner stands behind may itself be stray.
    return _STRAY_JOINER.sub("", _STRAY_SELECTOR.sub("", text))


def _without_control(text: str) -> str:
    # A space in place of a token keeps its neighbours from becoming one; halves are parted for the same reason.
    return _HALF_CONTROL.sub(r"\g<0> ", _CONTROL.sub(" ", text))


def _may_leave(uri: str) -> bool:
    """Whether no program makes of the uri, as it is spelled or decoded, anything but itself.

    The ending of a page is not taken for a top-level domain: "leave.md" is a file before it is a host.
    """
    form = unicodedata.normalize("NFKC", uri)
    if _visible(uri) != uri or html.unescape(form) != form:
        return False
    if _PERMALINK.fullmatch(form):
        return True
    path = form.partition("#")[0]
    name = _PAGE_ENDING.sub("", path)
    acts = _SCHEME.search(path) or _is_risky(name) or _WORD.sub(_unmasked, name) != name
    return _PATH.fullmatch(form) is not None and not acts


def _exactly(uris: Iterable[str]) -> re.Pattern[str] | None:
    """Finds allowed uris that stand alone: one that goes on, or follows a foreign host, is another uri."""
    longest_first = sorted(uris, key=len, reverse=True)
    if not longest_first:
        return None
    spelled = "|".join(map(re.escape, longest_first))
    return re.compile(rf"""(?<![^\s(<\[|"'])(?:{spelled})(?=\||\]\(|[)\]>"'.,;:!?]*+(?:\s|\Z))""")


def _pass(text: str) -> str:
    text = _without_control(_WORD.sub(_unmasked, text))
    text = _without_markup(text)
    for pattern in (_SCHEME, _SLASHES, _IP6):
        text = pattern.sub(_FOREIGN, text)
    text = _ADDRESS_SCHEME.sub(r"\1: ", _SWALLOWED.sub(_removed, text))
    text = _SWALLOWED.sub(_removed, _HOST.sub(_without_host, _IP4.sub(_without_address, text)))
    text = _MENTION_LAST.sub("", _MENTION_FIRST.sub("", _MENTION.sub("", text))).replace(_GONE, "")
    return _LINE_ENDS.sub("", _GAPS.sub(" ", text)).strip()


def _unmasked(found: re.Match[str]) -> str:
    """A word as a reader's program would decode it, if that shows something that must not leave."""
    word = found[0]
    if word.isascii() and "&" not in word and "%" not in word:
        return word
    decoded = word
    for _ in range(ROUNDS):
        before, decoded = decoded, unicodedata.normalize("NFKC", _visible(unquote(html.unescape(decoded))))
        if before == decoded:
            is_masked = _is_risky(decoded) or len(_BRACKET.findall(decoded)) > len(_BRACKET.findall(word))
            return decoded if is_masked else word
    return LINK_REMOVED


def _is_risky(word: str) -> bool:
    return any(pattern.search(word) for pattern in _RISKY) or _HOST.sub(_without_host, _IP4.sub("", word)) != word


def _without_markup(text: str) -> str:
    foreign = {name.casefold() for name, target in _DEFINITION.findall(text) if _is_risky(target)}
    if foreign:
        text = _DEFINITION.sub(lambda line: "" if _is_risky(line[2]) else line[0], text)
    linked = text = _ESCAPED_BRACKET.sub("", _COMMENT_ENDS.sub(" ", text))
    text = _REFERENCE.sub(r"\1", _MARKDOWN.sub(_without_target, text))
    if text == linked:
        # Brackets around a link that went are looked at in the next round: they may be those of another link.
        text = _without_numbers(_without_halves(text))
    return _OPEN_ANGLE.sub("< ", _ANGLE.sub(_without_angles, text))


def _without_halves(text: str) -> str:
    """Brackets as pairs alone, none of which goes on as a link, a reference or a definition does."""
    opened: list[int] = []
    halves: set[int] = set()
    for found in _BRACKET.finditer(text):
        place = found.start()
        if found[0] == "[":
            opened.append(place)
        elif not opened:
            halves.add(place)
        elif text.startswith(":", place + 1):
            halves |= {opened.pop(), place}
        else:
            opened.pop()
    halves.update(opened)
    whole = "".join(sign for place, sign in enumerate(text) if place not in halves) if halves else text
    return _GOES_ON.sub("] ", whole)


def _without_numbers(text: str) -> str:
    text = _LONE_ITEM.sub("", _HEADING.sub("", text))
    text = _FIRST_NUMBERS.sub(_without_first, _LAST_NUMBERS.sub("", text))
    return _ANY_NUMBER.sub(r"(\1)", text)


def _without_first(found: re.Match[str]) -> str:
    following = found.string[found.end() : found.end() + 1]
    return "" if following.isupper() else found[0]


def _without_target(link: re.Match[str]) -> str:
    image, label, target = link.groups()
    first = target.strip().partition(" ")[0].strip("<>")
    if _is_allowed(first) and not image:
        return _shown(label, first)
    return label if label.strip() or image else LINK_REMOVED


def _without_angles(found: re.Match[str]) -> str:
    """What a pair of angle brackets leaves: a link its label, a mention its name, a tag nothing."""
    inside = found[1]
    target, _, label = inside.partition("|")
    if _is_allowed(target):
        return _shown(label, target)
    if inside[0] in "@!#":
        return f"#{label}" if label and inside[0] == "#" else label.lstrip("@") or _GONE
    if label and _is_risky(target):
        return label
    return _without_tag(inside)


def _without_tag(inside: str) -> str:
    name = inside.strip("/ ")
    if _BLOCK_TAG.fullmatch(name):
        return " "
    if _INLINE_TAG.fullmatch(name) or inside[0] in "/?":
        return ""
    if "=" in inside and inside[0].isalpha():
        # The attributes of a tag hold nothing for a reader. A comparison (x <y = z> w) is rare enough to lose.
        return ""
    # "<your name>" is a form to fill in: it keeps its look and can no longer become markup.
    return f"\u2039{inside}\u203a" if inside[0].isalpha() and not _is_risky(inside) else f" {inside} "


def _is_allowed(target: str) -> bool:
    return len(target) == 1 and ord(target) >= _FIRST_ALLOWED


def _shown(label: str, allowed: str) -> str:
    return f"{label} ({allowed})" if label.strip(" " + allowed) else allowed


def _without_host(found: re.Match[str]) -> str:
    """A host with a path is marked for removal; a bare one is pulled apart, because its name may be a plain word."""
    first, others = found.groups()
    labels = [label for _, label in _DOTTED.findall(others)]
    if not any(map(_is_top_level, labels)):
        return found[0]
    # An ideographic full stop ends sentences that need no space after it: what follows may be prose.
    if _REST.match(found.string, found.end()) and "\u3002" not in others:
        return _FOREIGN
    return first + _DOTTED.sub(lambda part: f"{part[1]} {part[2]}" if _is_top_level(part[2]) else part[0], others)


def _without_address(found: re.Match[str]) -> str:
    return _FOREIGN if _REST.match(found.string, found.end()) else f"{found[1]} {found[2]}"


def _is_top_level(label: str) -> bool:
    return _TOP_LEVEL.match(label) is not None and _FILE_ENDING.fullmatch(label) is None


def _removed(found: re.Match[str]) -> str:
    link = found[0]
    after = ".,;:!?" if "(" in link else ".,;:!?)"
    return LINK_REMOVED + link[len(link.rstrip(after)) :]
