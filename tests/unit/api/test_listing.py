"""Lists stand in columns, and a name in them is a name and nothing else."""

import pytest

from api import listing

RUN = {
    "run_id": "r1", "source": "docs", "state": "succeeded", "requested_by": "local", "error_code": "", "error": "",
    "started_at": 1_780_000_000_000_000, "finished_at": None, "stage": "embedding", "done": 3, "total": 7,
    "chunks": 1, "rate": 0.5, "eta_seconds": 8.0, "problems": [], "documents": {"quarantined": 0},
}  # fmt: skip
REPORT = {
    "state": "running", "seconds": 0.0, "documents": {"added": 7}, "chunks": 1, "embedded": 1,
    "ledger": {"total": 7, "buckets": {"indexed": 7}},
}  # fmt: skip
SOURCE = {
    "name": "docs", "kind": "files", "every_minutes": 0, "documents": 13, "last_state": None, "last_at": None,
    "paused": "", "stale": False, "fresh_at": None,
}  # fmt: skip
LETTER = {
    "id": 7, "run_id": "r1", "source": "docs", "kind": "document", "place": "a.md", "change": "added", "stage": "embed",
    "code": "poison", "reason": "It ended its worker.", "size": 0, "attempts": 3, "state": "open",
    "recorded_at": 1_780_000_000_000_000, "settled_at": None,
}  # fmt: skip
KEY = {
    "id": "k1", "name": "intranet", "scopes": ["ask"], "principals": ["everyone"], "expires_at": None,
    "last_used_at": None, "revoked_at": 1_780_000_000_000_000,
}  # fmt: skip


def test_columns_are_as_wide_as_what_stands_in_them() -> None:
    shown = listing.columns(("A", "LONG"), [("longer", 1), ("", 22)])
    assert shown == "A       LONG\nlonger  1\n-       22"


def test_a_moment_that_has_not_come_is_a_dash() -> None:
    assert listing.moment(None) == listing.moment(0) == "-"
    assert listing.moment(1_780_000_000_000_000).startswith("2026-05-2")


def test_runs_show_why_they_failed() -> None:
    failed = RUN | {"state": "failed", "error_code": "source_unreadable"}
    lines = listing.runs_text([RUN, failed]).splitlines()
    assert lines[0].split() == ["RUN", "SOURCE", "STATE", "BY", "STARTED", "ENDED"]
    assert "failed (source_unreadable)" in lines[2]


def test_an_open_run_says_how_far_it_is() -> None:
    shown = listing.run_text(RUN, REPORT)
    assert "  so far     embedding: 3/7 documents, 1 chunks, 0.5 documents/s, ETA 8 s" in shown.splitlines()
    assert "asked for by local" in shown
    assert "error" not in shown


def test_a_run_that_failed_says_what_happened() -> None:
    shown = listing.run_text(RUN | {"error_code": "x", "error": "It is\nno zip.", "finished_at": 1}, REPORT)
    assert shown.endswith("  error      x: It is no zip.")
    assert "so far" not in shown


def test_what_a_run_could_not_take_is_told_with_its_reason_and_how_often_it_was_tried() -> None:
    problems = [
        {"place": "a.md\nforged", "code": "poison", "reason": "It ended\nits worker.", "attempts": 3},
        {"place": "b.md", "code": "not_utf8", "reason": "It is no text.", "attempts": 1},
    ]
    shown = listing.problems_text(RUN | {"problems": problems, "documents": {"quarantined": 5}})
    assert shown.splitlines()[1:4] == [
        "  a.md forged: poison: It ended its worker. (3 tries)",
        "  b.md: not_utf8: It is no text.",
        "  … and 3 more",
    ]


def test_a_letter_stands_in_one_line_and_whole_in_a_table() -> None:
    row = listing.letters_text([LETTER]).splitlines()[1]
    assert row.split()[:6] == ["7", "docs", "a.md", "poison", "3", "open"]
    shown = listing.letter_text(LETTER)
    assert shown.startswith("Dead letter 7: open\n")
    assert "poison: It ended its worker." in shown
    assert "a.md" in shown


def test_a_source_says_that_it_is_stale_and_why_it_is_paused() -> None:
    stale = SOURCE | {"stale": True, "fresh_at": 1_780_000_000_000_000, "paused": "storage_full"}
    assert listing.sources_text([stale]).splitlines()[1].split()[-2:] == ["(stale)", "storage_full"]


@pytest.mark.parametrize("show", [listing.runs_text, listing.sources_text, listing.keys_text, listing.letters_text])
def test_an_empty_list_says_how_to_begin(show: object) -> None:
    assert callable(show)
    assert "threadwise " in show([])


def test_sources_and_keys_stand_in_one_line_each() -> None:
    assert listing.sources_text([SOURCE, SOURCE | {"every_minutes": 60}]).splitlines()[2].split()[3:5] == ["60", "min"]
    assert listing.keys_text([KEY]).splitlines()[1].split()[:4] == ["k1", "intranet", "ask", "everyone"]


def test_a_model_says_whether_it_is_here() -> None:
    model = {"id": "m", "bytes": 98_362_432, "installed": False, "window": 8192, "licence": "Apache-2.0"}
    assert listing.models_text([model]).splitlines()[1].split() == ["m", "no", "98", "MB", "8192", "Apache-2.0"]


def test_a_name_cannot_pretend_to_be_another_row_or_steer_the_terminal() -> None:
    shown = listing.sources_text([SOURCE | {"name": "docs\nforged\x1b[2J"}])
    assert shown.count("\n") == 1
    assert "\x1b" not in shown


def test_a_ledger_names_the_first_files_that_were_refused_and_how_many_more_there_are() -> None:
    lines = [{"channel": "", "bucket": "failed", "reason": "no_text", "items": 32}]
    refused = [
        {"file": f"{number:02}.pdf", "bucket": "failed", "reason": "no_text", "documents": number % 2}
        for number in range(32)
    ]
    fine = {"file": "fine.md", "bucket": "indexed", "reason": "page", "documents": 1}
    shown = listing.ledger_text({"lines": lines, "files": [fine, *refused], "quality": []}).splitlines()
    assert shown[-1] == "… and 12 more: use --csv"
    assert shown[-2].split() == ["19.pdf", "no_text", "its", "earlier", "state", "(1)"]
    assert shown[-3].split() == ["18.pdf", "no_text", listing.NOTHING]
    assert not [line for line in shown if "fine.md" in line]
    assert "REFUSED" not in listing.ledger_text({"lines": lines, "files": [fine], "quality": []})
    assert "REFUSED" not in listing.ledger_text({"lines": lines, "quality": []})
