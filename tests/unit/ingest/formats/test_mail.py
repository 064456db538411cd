"""E-mail."""

import base64
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.words import Instant
from ingest.errors import RefusedError
from ingest.formats.mail import parse
from ingest.formats.mime import headers, words
from ingest.formats.parsed import UnreadableDocumentError

HEAD = b"From: Ada Lovelace <ada@example.com>\r\nSubject: Leave\r\nDate: Fri, 01 Mar 2024 09:30:00 +0100\r\n"


def message(text: str = "25 days.") -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Ada Lovelace <ada@example.com>"
    made["Subject"] = "Überstunden und Urlaub"
    made["Date"] = "Fri, 01 Mar 2024 09:30:00 +0100"
    made.set_content(text)
    return made


def said(raw: bytes, name: str = "a.eml") -> str:
    (one,) = parse(raw, name)
    return "\n".join(block.text for block in one.blocks)


def refusal(raw: bytes, name: str) -> str:
    try:
        parse(raw, name)
    except RefusedError as error:
        return error.code
    return ""


def mailbox(*messages: bytes) -> bytes:
    return b"\n".join(b"From ada@example.com Fri Mar  1 09:30:00 2024\n" + one for one in messages)


def test_a_message_is_said_by_its_sender_when_it_was_sent() -> None:
    (one,) = parse(message().as_bytes(), "a.eml")
    assert (one.kind, one.title, one.author, one.part) == ("email", "Überstunden und Urlaub", "Ada Lovelace", "")
    (block,) = one.blocks
    assert (block.text, block.speaker, block.at) == ("25 days.", "Ada Lovelace", Instant(1_709_281_800_000_000))


def test_plain_text_is_read_before_the_same_in_html() -> None:
    made = message("As text.")
    made.add_alternative("<p>As <b>HTML</b>.</p>", subtype="html")
    assert said(made.as_bytes()) == "As text."


def test_html_is_read_where_there_is_no_plain_text() -> None:
    made = message("   ")
    made.add_alternative("<h1>Fees</h1><p>As <b>HTML</b>.</p><script>no()</script>", subtype="html")
    assert said(made.as_bytes()) == "Fees\n\nAs HTML."


def test_attachments_are_named_wherever_they_are() -> None:
    made = message("See below.")
    made.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Antrag für März.pdf")
    made.add_attachment("inside", filename="notes.txt")
    assert said(made.as_bytes()) == "See below.\n\n[file: Antrag für März.pdf]\n[file: notes.txt]"


def test_files_beside_a_form_that_is_not_read_are_named() -> None:
    made = message("As text.")
    made.add_alternative("<p>As HTML.</p>", subtype="html")
    html = made.get_payload(1)
    assert isinstance(html, EmailMessage)
    html.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="form.pdf")
    assert said(made.as_bytes()) == "As text.\n\n[file: form.pdf]"


def test_what_is_answered_is_left_out_where_it_is_quoted_as_a_whole_below() -> None:
    for introduction in ("On Fri, Ada wrote:", "On Fri, 1 Mar 2024,\nAda <ada@example.com> wrote:", "Ada schrieb:"):
        answer = f"Yes.\n{introduction}\n> May I?\n>\n> Ada\n"
        assert said(message(answer).as_bytes()) == "Yes."


@pytest.mark.parametrize(
    "text", ["Ada wrote:\n> May I?\n\nYes.", "> May I?\n\nYes.\n> Really?", "See the list:\n> one\n> two"]
)
def test_quotes_among_the_answers_stay(text: str) -> None:
    assert said(message(text).as_bytes()) == text


def test_a_signature_is_left_out() -> None:
    assert said(message("Yes.\n-- \nAda\nDesk 3\n").as_bytes()) == "Yes."


def test_a_forwarded_message_is_read() -> None:
    made = message("See below.")
    made.add_attachment(message("The original."))
    assert said(made.as_bytes()) == "See below.\n\nThe original."


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        ("ada@example.com", "ada@example.com"),
        ("<ada@example.com>", "ada@example.com"),
        ('"Lovelace, Ada" <ada@example.com>', "Lovelace, Ada"),
        ("ada@example.com (Ada Lovelace)", "Ada Lovelace"),
        ("=?utf-8?q?Ad=C3=A4?= =?utf-8?b?IEw=?= <ada@example.com>", "Adä L"),
    ],
)
def test_a_sender_is_called_by_the_name_or_the_address(sender: str, name: str) -> None:
    (one,) = parse(f"From: {sender}\n\nText\n".encode(), "a.eml")
    assert one.author == name


@pytest.mark.parametrize("charset", ["us-ascii", "x-unknown", "punycode", "", "hex", "utf-8\0"])
def test_a_charset_that_does_not_fit_is_not_believed(charset: str) -> None:
    raw = HEAD + f'Content-Type: text/plain; charset="{charset}"\r\n\r\n'.encode() + "Grüße".encode()
    assert said(raw) == "Grüße"


def test_broken_text_is_replaced_and_not_refused() -> None:
    raw = HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + b"Gr\xfc\xdfe"
    assert said(raw) == "Grüße"
    raw = HEAD + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nTm8!hX"
    assert said(raw) == "No!"


def test_a_mailbox_has_a_document_for_each_message() -> None:
    first = HEAD + b"Message-ID: <1@example.com>\n\nOne.\n\n>From here on.\n"
    found = parse(mailbox(first, HEAD + b"\nTwo.\n", first), "a.mbox")
    assert [block.text for one in found for block in one.blocks] == [
        "One.\n\nFrom here on.",
        "Two.",
        "One.\n\nFrom here on.",
    ]
    assert [found[0].part, found[2].part] == ["1@example.com", "1@example.com-2"]
    assert len(found[1].part) == 16


def test_a_line_that_begins_with_from_begins_no_message() -> None:
    assert len(parse(mailbox(HEAD + b"\nOne.\n\nFrom here on: 3 rooms.\n"), "a.mbox")) == 1


def test_a_message_that_cannot_be_read_leaves_the_others() -> None:
    found = parse(mailbox(bomb(50), HEAD + b"\nTwo.\n"), "a.mbox")
    assert [len(one.blocks) for one in found] == [0, 1]


@pytest.mark.parametrize(("raw", "name"), [(b"no mail at all", "a.eml"), (b"no mailbox", "a.mbox")])
def test_what_is_no_mail_is_refused(raw: bytes, name: str) -> None:
    with pytest.raises(UnreadableDocumentError):
        parse(raw, name)


@pytest.mark.parametrize("name", ["a.eml", "a.mbox"])
def test_an_empty_file_has_nothing_to_read(name: str) -> None:
    assert parse(b"", name) == []


def bomb(depth: int) -> bytes:
    opened = "".join(f'Content-Type: multipart/mixed; boundary="b{level}"\n\n--b{level}\n' for level in range(depth))
    return HEAD + opened.encode() + b"\nText.\n"


def test_parts_deep_in_one_another_are_refused() -> None:
    assert said(bomb(10)) == "Text."
    with pytest.raises(UnreadableDocumentError):
        parse(bomb(100_000), "a.eml")


def test_more_parts_than_a_message_has_are_refused() -> None:
    raw = HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 100_000
    with pytest.raises(UnreadableDocumentError):
        parse(raw, "a.eml")


def test_a_part_that_ends_nowhere_is_read_to_the_end() -> None:
    raw = HEAD + b"Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n\nOne.\n--b\n\nTwo."
    assert said(raw) == "One.\n\nTwo."


def test_a_name_of_a_file_may_come_in_pieces() -> None:
    raw = HEAD + (
        b"Content-Type: application/pdf\n"
        b"Content-Disposition: attachment; filename*0*=utf-8''Antr%C3%A4; filename*1=ge.pdf\n\n%PDF"
    )
    assert said(raw) == "[file: Anträge.pdf]"


def test_a_header_is_unfolded() -> None:
    assert headers(b"Subject: a\n b\nsubject: c\n")["subject"] == "a b"
    assert words("=?utf-8?q?a_b?=\n =?latin1?b?" + base64.b64encode(b"\xe4").decode() + "?= c") == "a bä c"


@given(st.binary(max_size=400))
@example(b"Content-Type: multipart/mixed; boundary=\n\n--\n")
@example(b"Date: Fri, 99 Foo 99999 99:99:99 +9999\nContent-Type: ; charset=idna\n\n\xff")
def test_whatever_the_bytes_are_nothing_but_a_refusal_is_raised(raw: bytes) -> None:
    for text, name in ((HEAD + raw, "a.eml"), (raw, "a.eml"), (mailbox(HEAD + raw), "a.mbox")):
        assert refusal(text, name) in ("", "unreadable_document", "document_too_large")


NAMES = st.sampled_from([b"Content-Type", b"Content-Disposition", b"Content-Transfer-Encoding", b"From", b"Date"])
VALUES = st.sampled_from(
    [b"multipart/mixed; boundary=b", b"multipart/alternative; boundary=b", b"text/html", b"base64", b"quoted-printable"]
) | st.binary(max_size=40)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4), st.lists(st.sampled_from([b"--b", b"--b--", b"", b"<p>x"])))
def test_any_structure_is_walked(said: list[tuple[bytes, bytes]], body: list[bytes]) -> None:
    raw = HEAD + b"".join(b"%b: %b\n" % line for line in said) + b"\n" + b"\n".join(body)
    assert refusal(raw, "a.eml") in ("", "unreadable_document")
