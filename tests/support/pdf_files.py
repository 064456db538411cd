"""PDF files written by hand: honest ones as small as they can be, and hostile ones."""

import zlib
from collections.abc import Mapping, Sequence

Placed = tuple[str, float, float, float]
"""A line of text: its words, the size of its letters, and where it begins (points from the lower left corner)."""

HEADER = b"%PDF-1.7\n"
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
RESOURCES = b"<< /Font << /F1 3 0 R >> >>"


def lines(*texts: str, size: float = 12, top: float = 720, left: float = 72) -> list[Placed]:
    """Lines of one size below each other."""
    return [(text, size, left, top - 1.2 * size * number) for number, text in enumerate(texts)]


def pdf(
    pages: Sequence[Sequence[Placed]],
    *,
    properties: Mapping[str, str] | None = None,
    bookmarks: Sequence[tuple[str, int]] = (),
    trailer: bytes = b"",
) -> bytes:
    """A file with these pages, properties and bookmarks (title and page from 0)."""
    first = 5
    page_ids = [first + 2 * number for number in range(len(pages))]
    outline_id = first + 2 * len(pages)
    kids = b" ".join(b"%d 0 R" % number for number in page_ids)
    outlines = b" /Outlines %d 0 R" % outline_id if bookmarks else b""
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R%b >>" % outlines,
        2: b"<< /Type /Pages /Kids [%b] /Count %d /MediaBox [0 0 612 792] >>" % (kids, len(pages)),
        3: FONT,
        4: b"<< %b >>" % b" ".join(b"/%b (%b)" % (k.encode(), _escaped(v)) for k, v in (properties or {}).items()),
    }
    for number, page in zip(page_ids, pages, strict=True):
        contents = b"/Contents %d 0 R" % (number + 1)
        objects[number] = b"<< /Type /Page /Parent 2 0 R /Resources %b %b >>" % (RESOURCES, contents)
        objects[number + 1] = stream(_drawn(page))
    if bookmarks:
        objects |= _outline(outline_id, bookmarks, page_ids)
    return file_of(objects, trailer=b"/Info 4 0 R " + trailer)


def one_page(contents: bytes, *, extra: Mapping[int, bytes] | None = None, resources: bytes = RESOURCES) -> bytes:
    """A file of one page with this content stream, and further objects from number 6."""
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [4 0 R] /Count 1 /MediaBox [0 0 612 792] >>",
        3: FONT,
        4: b"<< /Type /Page /Parent 2 0 R /Resources %b /Contents 5 0 R >>" % resources,
        5: contents,
    }
    return file_of(objects | dict(extra or {}))


def stream(data: bytes, *, keys: bytes = b"") -> bytes:
    """A stream as it is."""
    return b"<< %b /Length %d >>\nstream\n%b\nendstream" % (keys, len(data), data)


def packed_stream(data: bytes, *, times: int = 1) -> bytes:
    """A compressed stream; `times` compresses it again and again."""
    for _ in range(times):
        data = zlib.compress(data, 9)
    return stream(data, keys=b"/Filter [%b]" % (b"/FlateDecode " * times))


def file_of(objects: Mapping[int, bytes], *, trailer: bytes = b"") -> bytes:
    """A whole file of numbered objects, the first of them its catalogue."""
    parts = [HEADER]
    at, places = len(HEADER), {}
    for number, body in objects.items():
        places[number] = at
        parts.append(b"%d 0 obj\n%b\nendobj\n" % (number, body))
        at += len(parts[-1])
    size = max(objects) + 1
    rows = [b"%010d 00000 n \n" % places[n] if n in places else b"0000000000 65535 f \n" for n in range(size)]
    parts.append(b"xref\n0 %d\n%b" % (size, b"".join(rows)))
    parts.append(b"trailer\n<< /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF" % (size, trailer, at))
    return b"".join(parts)


def encrypted() -> bytes:
    """A file that no empty password opens."""
    keys = b"/Filter /Standard /V 1 /R 2 /P -4 /O <%b> /U <%b>" % (b"6f" * 32, b"75" * 32)
    return pdf([lines("secret")], trailer=b"/Encrypt << %b >> /ID [<00> <00>]" % keys)


def _drawn(page: Sequence[Placed]) -> bytes:
    drawn = (b"/F1 %.2f Tf 1 0 0 1 %.2f %.2f Tm (%b) Tj" % (s, x, y, _escaped(text)) for text, s, x, y in page)
    return b"BT %b ET" % b"\n".join(drawn) if page else b""


def _escaped(text: str) -> bytes:
    raw = text.encode("cp1252")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _outline(at: int, bookmarks: Sequence[tuple[str, int]], page_ids: Sequence[int]) -> dict[int, bytes]:
    last = at + len(bookmarks)
    objects = {at: b"<< /Type /Outlines /First %d 0 R /Last %d 0 R /Count %d >>" % (at + 1, last, len(bookmarks))}
    for number, (title, page) in enumerate(bookmarks, start=at + 1):
        following = b" /Next %d 0 R" % (number + 1) if number < last else b""
        target = b"/Dest [%d 0 R /Fit]" % page_ids[page]
        objects[number] = b"<< /Title (%b) /Parent %d 0 R %b%b >>" % (_escaped(title), at, target, following)
    return objects
