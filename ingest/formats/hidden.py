"""Which elements of a page a reader does not see, as far as the element itself says so."""

import re
from collections.abc import Mapping

COMMENT = re.compile(r"/\*.*?(?:\*/|$)", re.DOTALL)
ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.DOTALL)
ZERO = r"[+-]?(?:0++(?:\.0*+)?|\.0++)(?:[a-z]+|%)?"
FAR = r"-(?:(?:9\d\d|\d{4,})(?:\.\d*)?(?:[a-z]+|%)?|\d{3}(?:v[wh]|%))"
END = r"(?:!important)?(?:;|$)"
STYLE_CHARACTERS = 5_000
# Of a style in lower case without spaces. Text of one pixel is as good as none.
HIDING = re.compile(
    rf"(?:^|;)(?:display:none|visibility:(?:hidden|collapse)|content-visibility:hidden|opacity:{ZERO}"
    rf"|(?:font-size|font|zoom):(?:{ZERO}|[01](?:\.\d*)?px)(?:/[^;]*)?|transform:scale\({ZERO}[^)]*\)"
    rf"|(?:left|top|right|bottom|text-indent|margin-left|margin-top):{FAR}|transform:translate[xy]?\({FAR}[^)]*\)"
    rf"|clip:rect\((?:{ZERO},?|1px,?){{4}}\)|clip-path:inset\((?:50|100)%[^)]*\)|color:transparent){END}"
)
OVERFLOW = re.compile(rf"(?:^|;)overflow(?:-[xy])?:(?:hidden|clip){END}")
NO_SIZE = re.compile(rf"(?:^|;)(?:max-)?(?:width|height):(?:{ZERO}|1px){END}")
COLOUR = re.compile(r"(?:^|;)color:([^;!]+)")
BACKGROUND = re.compile(r"(?:^|;)background(?:-color)?:([^;!]+)")


def hides(tag: str, attributes: Mapping[str, str | None]) -> bool:
    """Whether an element hides what is inside it."""
    if "hidden" in attributes or (attributes.get("aria-hidden") or "").strip().lower() == "true":
        return True
    if tag == "dialog" and "open" not in attributes:
        return True
    style = attributes.get("style")
    return bool(style) and _style_hides(style or "")


def _style_hides(style: str) -> bool:
    # A style longer than any person writes hides its purpose.
    if len(style) > STYLE_CHARACTERS:
        return True
    bare = "".join(ESCAPE.sub(_unescaped, COMMENT.sub("", style.lower())).split()).lower()
    if HIDING.search(bare) or (OVERFLOW.search(bare) and NO_SIZE.search(bare)):
        return True
    colour, background = COLOUR.search(bare), BACKGROUND.search(bare)
    return bool(colour and background and colour[1] == background[1])


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16) % 0x110000) if match[1] else match[2]
