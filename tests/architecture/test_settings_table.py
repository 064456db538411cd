"""One page documents every setting for both modes, and both modes set only what there is."""

import re

import pytest

from core.settings import Settings
from deploy import native
from tests.architecture.tree import ROOT
from tests.support.composition import FILLED_IN, OURS, environment_of, example, known_variables, services

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
CELLS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in PAGE.splitlines() if line[:3] == "| `"
]
ROWS = {name.strip("`"): cells for name, *cells in CELLS}
EMBEDDED, SERVER, VALUES, MEANING = range(4)


def in_dockerfile() -> dict[str, str]:
    return dict(re.findall(r"\b(THREADWISE_\w+)=(\S+)", DOCKERFILE))


def in_compose() -> set[str]:
    return {name for service in services() for name in environment_of(service, FILLED_IN) if "THREADWISE" in name}


def settings_from(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_every_setting_has_one_row_that_tells_both_modes() -> None:
    assert set(ROWS) == known_variables()
    assert len(ROWS) == len(CELLS)
    assert {len(cells) for cells in ROWS.values()} == {4}
    assert all(cells[EMBEDDED] and cells[VALUES] and cells[MEANING] for cells in ROWS.values())


@pytest.mark.parametrize("place", ["docker-compose.yml", "Dockerfile", "deploy/env.example", "deploy/native.py"])
def test_server_mode_sets_nothing_that_does_not_exist(place: str) -> None:
    names = {
        "docker-compose.yml": in_compose(),
        "Dockerfile": set(in_dockerfile()),
        "deploy/env.example": {name for name in example() if name.startswith("THREADWISE_")},
        "deploy/native.py": {f"THREADWISE_{name}" for name in native.SETTINGS},
    }[place]
    assert names, "none was found: the rule would pass on nothing"
    assert not names - known_variables()


@pytest.mark.parametrize("service", OURS)
def test_the_settings_of_a_service_are_valid(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = example() | FILLED_IN
    settings = settings_from(in_dockerfile() | environment_of(service, given), monkeypatch)
    assert settings.resolved_database_url.startswith("postgresql+psycopg://threadwise:")
    assert settings.queue.url == f"redis://:{FILLED_IN['VALKEY_PASSWORD']}@valkey:6379/0"
    assert str(settings.data_dir) == "/data"


def test_services_that_share_a_setting_agree_on_it() -> None:
    values: dict[str, set[str]] = {}
    for service in OURS:
        for name, value in environment_of(service, FILLED_IN).items():
            values.setdefault(name, set()).add(value)
    assert not {name for name, found in values.items() if len(found) > 1}


def test_what_the_example_offers_is_read_by_compose() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    read = set(re.findall(r"\$\{(\w+)", text)) | {"COMPOSE_PROFILES"}  # which compose reads itself
    assert set(example()) == read


def test_the_page_says_for_server_mode_what_is_set_there_and_nothing_else() -> None:
    natively = {f"THREADWISE_{name}": words for name, words in native.SETTINGS.items()}
    assert {name for name, cells in ROWS.items() if cells[SERVER]} == in_compose() | set(natively)
    assert all(words in ROWS[name][SERVER] for name, words in natively.items())
    assert ROWS["THREADWISE_API__HOST"][SERVER] == "`0.0.0.0`"
