"""Names that are longer than any index takes are refused one by one, and everything else goes on."""

from pathlib import Path
from random import Random

from tests.support.hostile_zips import RawEntry, write
from tests.support.installation import installation

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def test_an_entry_with_an_endless_name_is_quarantined_and_the_others_are_read(tmp_path: Path) -> None:
    name = "/".join("".join(Random(place).choices(LETTERS, k=200)) for place in range(20)) + ".md"
    place = write(
        tmp_path / "pages.zip", [RawEntry(name=name, raw=b"# Long"), RawEntry(name="a.md", raw=b"# Short\n\nWords.")]
    )
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        report = threadwise.ingest(place, name="pages")
        assert (report.added, report.quarantined) == (1, 1)
        (letter,) = threadwise.runs.letters()
        assert letter.code == "unsafe_name"
        assert letter.place.startswith(name[:200])
        assert len(letter.place) < len(name) / 10
        assert threadwise.ingest(place, name="pages").unchanged == 1


def test_a_file_in_a_very_deep_folder_is_quarantined_alike(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    deep = folder.joinpath(*("d" * 240 for _ in range(5)))
    deep.mkdir(parents=True)
    (deep / "a.md").write_text("# Deep\n\nWords.")
    (folder / "b.md").write_text("# Shallow\n\nWords.")
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        report = threadwise.ingest(folder, name="docs")
        assert (report.added, report.quarantined) == (1, 1)
        assert [letter.code for letter in threadwise.runs.letters()] == ["unsafe_name"]
