"""The reader of HTML, on pages whose first element is hidden and whose rest the fuzzer writes."""

from collections.abc import Iterator

from ingest.errors import RefusedError
from ingest.formats.html import parse
from ingest.markup import clean
from tests.fuzz.draws import stretched

MAX_BYTES = 448
HIDDEN = "qzxjvw"
PAGE = f"<p hidden>{HIDDEN}</p>".encode()
WORDS = (
    *(b"<h1>", b"<h2 id=a>", b"<p>", b"</p>", b"<table><tr><th>", b"<td colspan=9>", b"<ul><li>", b"<pre>", b"<div>"),
    *(b"<script>", b"</script>", b"<style>", b"<template>", b"<noscript>", b"<!--", b"-->", b"<![CDATA[", b"<svg>"),
    *(b"<math>", b"<title>", b"</title>", b"<textarea>", b"<plaintext>", b"<iframe srcdoc=", b"<select><option>"),
    *(b" hidden", b" aria-hidden=true", b' style="display:none"', b"visibility:hidden", b"font-size:0", b"opacity:0"),
    *(b'<meta charset="utf-16">', b'<meta name="date" content="2026-01-31">', b'<meta name="author" content="'),
    *(b"<a href=x>", b"<img alt=x>", b"<br>", b"&amp;", b"&#x202e;", b"&#0;", b"&#xd800;", b"<frameset>", b"\xff\xfe"),
)


def seeds() -> Iterator[bytes]:
    """A page of everything, each piece alone, nested and unclosed."""
    yield b"<html><head><title>T</title></head><body><h1>A</h1><p>b <a href=c>d</a></p><ul><li>e<li>f</ul></html>"
    yield b"<table><tr><th>Name<th>Days</tr><tr><td>Ada<td rowspan=2>3</tr></table><pre>x\n  y</pre>"
    yield b"".join(WORDS)
    yield from WORDS
    yield b"\n<h1>A</h1><p>b</p><title>c</title>"
    yield from (word * (MAX_BYTES // len(word)) for word in WORDS[:9])
    yield '\ufeff<p style="color:white">\u00e4</p>'.encode("utf-16")


def one_input(data: bytes) -> None:
    """Read a page, a piece where a control begins it: a refusal, or documents of clean text without what is hidden."""
    written = stretched(data)
    try:
        documents = parse(PAGE + written, "" if data[:1] < b" " else "page.html")
    except RefusedError as error:
        str(error).encode()
        return
    for document in documents:
        texts = [document.title, document.author, document.context, *(block.text for block in document.blocks)]
        texts += [heading for block in document.blocks for heading in block.heading]
        assert all(text == clean(text) for text in texts), "text that is not clean"
        assert not any(HIDDEN in text for text in texts), "what is hidden was read"
        assert all(block.text.strip() for block in document.blocks), "a block of nothing"
        assert all(block.anchor.isprintable() for block in document.blocks)
        # A cell that spans columns is not repeated without an end.
        assert sum(map(len, texts)) <= 64 * (len(written) + 64)
