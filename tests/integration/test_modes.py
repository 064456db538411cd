"""The two modes themselves: a test runs on the databases and the broker of its mode, and on no other."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from core.settings import load_settings
from tests.support.databases import NOT_NAMED, VARIABLE, Mode, current_mode, variables_of
from tests.support.doorbell import Doorbell
from tests.support.installation import PAGES, installation, live_texts, write_pages
from tests.support.processes import finished, python

TELL = """
import json
from core.settings import load_settings
print(json.dumps({"url": load_settings().resolved_database_url}))
"""


@pytest.fixture(scope="module")
def shared() -> Mode:
    """What several tests share is made again in each mode, although it does not ask which one it is."""
    return current_mode()


@pytest.fixture
def bell() -> Iterator[Doorbell]:
    with closing(Doorbell()) as doorbell:
        doorbell.start()
        yield doorbell


def test_every_data_folder_has_a_database_of_its_own(run_mode: Mode, tmp_path: Path) -> None:
    with installation(tmp_path / "one")[0] as one, installation(tmp_path / "two")[0] as two:
        one.ingest(write_pages(tmp_path / "pages", PAGES), name="pages")
        assert (len(live_texts(one)), len(live_texts(two))) == (len(PAGES), 0)
        assert one.database.is_sqlite == two.database.is_sqlite == (run_mode == "embedded")
    with installation(tmp_path / "one")[0] as again:
        assert len(live_texts(again)) == len(PAGES)


def test_another_process_gets_the_database_of_its_folder(tmp_path: Path) -> None:
    told = finished(python(TELL, tmp_path))["url"]
    with installation(tmp_path)[0] as threadwise:
        assert told == threadwise.database.url


def test_a_process_that_nobody_told_its_database_opens_none_by_mistake(
    run_mode: Mode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (VARIABLE in variables_of(tmp_path)) == (run_mode == "server")
    for name, value in variables_of(tmp_path).items():
        if name != VARIABLE:
            monkeypatch.setenv(name, value)
    assert (load_settings().resolved_database_url == NOT_NAMED) == (run_mode == "server")


def test_what_tests_share_is_shared_within_a_mode(shared: Mode, run_mode: Mode) -> None:
    assert shared == run_mode


def test_a_doorbell_of_a_server_has_a_port_and_a_password(run_mode: Mode, bell: Doorbell) -> None:
    assert bell.url.startswith("redis://" if run_mode == "server" else "redis+socket://")
    options = bell.client.connection_pool.connection_kwargs
    if run_mode == "server":
        with closing(redis.Redis(port=options["port"])) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    bell.client.lpush("queue", "ring")
    bell.kill()
    bell.start()
    assert bell.client.llen("queue") == 0, "the same place, and nothing kept"
