"""What a document must not carry does not get in: neither into the index nor into what is stored."""

import random
import string
from pathlib import Path

from sqlalchemy import select

from core import tables as t
from retrieval.query import Query
from tests.support.installation import installation, live_texts, write_pages
from tests.support.slack_export import ExportBuilder
from threadwise.runtime import Threadwise

ROOT = "1700000000.000100"
MAIL = "ada.miller" + "@" + "acme-widgets.com"
GERMAN = (
    "# Urlaub\n\nJeder Mitarbeiter hat Anspruch auf dreißig Tage Urlaub im Jahr. Der Antrag ist mindestens zwei Wochen "
    "vorher bei der Personalabteilung einzureichen und wird von der zuständigen Führungskraft genehmigt. Nicht "
    "genommene Tage verfallen am Ende des folgenden Jahres, sofern keine andere Vereinbarung getroffen wurde.\n"
)
ENGLISH = "# Leave\n\nEverybody has 25 days of leave, and they have to be asked for two weeks before they begin.\n"


def made_secret() -> str:
    """A token of a known form, put together here so that none stands in a file."""
    return "gh" + "p_" + "7" + "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=35))


def stored(threadwise: Threadwise) -> bytes:
    """Every blob that there is, one after the other."""
    return b"\n".join(blob.read_bytes() for blob in threadwise.blobs.folder.rglob("*") if blob.is_file())


def chunks(threadwise: Threadwise) -> str:
    """Text and context of every chunk that ever was."""
    with threadwise.database.read() as session:
        return "\n".join(" ".join(row) for row in session.execute(select(t.chunk.c.text, t.chunk.c.context)))


def noticed(threadwise: Threadwise, run_id: str, kind: str) -> int:
    return sum(line["count"] for line in threadwise.runs.ledger(run_id)["quality"] if line["kind"] == kind)


def test_a_secret_is_nowhere_and_is_counted(tmp_path: Path, database_url: str) -> None:
    secret = made_secret()
    builder = ExportBuilder().user("U1", "Ada").channel("C1", "general", ["U1"], is_general=True)
    builder.say("general", ROOT, f"{secret} opens the deploy pipeline", thread_ts=ROOT)
    builder.say("general", "1700000060.000200", f"Thanks, I took {secret} for it.", thread_ts=ROOT)
    threadwise, embedder = installation(tmp_path / "data", database_url)
    with threadwise:
        report = threadwise.ingest(builder.zipped(tmp_path / "export.zip"), name="acme")
        passages = threadwise.search(Query(text="deploy pipeline", reader=threadwise.reader("T1/U1"))).passages
        assert passages
        shown = " ".join(f"{passage.title} {passage.text}" for passage in passages)
        assert "[secret removed: " in shown
        assert "opens the deploy pipeline" in shown
        for place in (shown, chunks(threadwise), stored(threadwise).decode(), *embedder.texts):
            assert secret not in place
            assert secret[4:20] not in place
        assert noticed(threadwise, report.run_id, "secret") == 2


def people(folder: Path) -> Path:
    return write_pages(
        folder, {"leave.md": ENGLISH, "hr.md": f"# Help\n\nFor questions of pay write to {MAIL} first.\n"}
    )


def test_personal_data_that_is_not_wanted_any_more_takes_its_document_away(tmp_path: Path, database_url: str) -> None:
    threadwise, _ = installation(tmp_path / "data", database_url)
    with threadwise:
        docs = people(tmp_path / "docs")
        threadwise.ingest(docs, name="docs")
        assert any(MAIL in text for text in live_texts(threadwise)), "as usual it is kept"
        report = threadwise.ingest(docs, name="docs", options={"personal_data": "quarantine"})
        assert (report.state, report.removed, report.unchanged) == ("succeeded_with_quarantine", 1, 1)
        [(place, code, reason)] = threadwise.quarantined(report.run_id)
        assert (place, code) == ("hr.md", "personal_data")
        assert MAIL not in reason
        assert not any("questions of pay" in text for text in live_texts(threadwise))
        assert noticed(threadwise, report.run_id, "personal") == 1


def test_masked_personal_data_leaves_the_rest_of_its_document(tmp_path: Path, database_url: str) -> None:
    threadwise, _ = installation(tmp_path / "data", database_url)
    with threadwise:
        docs = people(tmp_path / "docs")
        report = threadwise.ingest(docs, name="docs", options={"personal_data": "mask"})
        assert report.state == "succeeded"
        assert any("questions of pay write to [e-mail] first" in text for text in live_texts(threadwise))
        assert MAIL not in chunks(threadwise)
        assert MAIL.encode() not in stored(threadwise)


def test_a_page_in_a_language_that_is_not_welcome_is_quarantined(tmp_path: Path, database_url: str) -> None:
    threadwise, _ = installation(tmp_path / "data", database_url)
    with threadwise:
        docs = write_pages(tmp_path / "docs", {"leave.md": ENGLISH, "urlaub.md": GERMAN, "ok.md": "# Ja\n\nGut.\n"})
        report = threadwise.ingest(docs, name="docs", options={"languages": ("en",)})
        assert (report.added, report.quarantined) == (2, 1)
        assert [row[:2] for row in threadwise.quarantined(report.run_id)] == [("urlaub.md", "wrong_language")]
        assert not any("Urlaub" in text for text in live_texts(threadwise))
        welcome = threadwise.ingest(docs, name="docs", options={"languages": ["en", "de"]})
        assert (welcome.added, welcome.quarantined) == (1, 0)
