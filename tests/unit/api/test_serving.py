"""Where a service listens, and the key that it gives to the commands of its machine."""

import socket

import pytest

from api import local_key
from api.errors import AddressInUseError
from api.serving import Place, free_place, is_ready
from core import clock
from core.catalog import keys
from core.database import Database


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 - an address in a text
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("intranet.example", "http://intranet.example:80"),
    ],
)
def test_commands_of_this_machine_reach_a_service_that_listens_everywhere(host: str, url: str) -> None:
    assert Place(host, 80).url == url


def test_any_free_port_can_be_had() -> None:
    assert free_place("127.0.0.1", 0).port > 0


def test_a_port_that_somebody_has_is_refused_with_its_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUseError, match=f"127.0.0.1:{port} "):
            free_place("127.0.0.1", port)
        assert not is_ready(Place("127.0.0.1", 1)), "nobody listens there"


def test_a_host_that_is_none_is_refused() -> None:
    with pytest.raises(AddressInUseError):
        free_place("192.0.2.1", 0)


def test_a_new_local_key_ends_the_one_before_it_and_no_other(database: Database) -> None:
    with database.write() as session:
        _, other = keys.create(session, name="local", scopes=("ask",), principals=("everyone",), now=clock.now())
    first, second = local_key.renewed(database), local_key.renewed(database)
    with database.read() as session:
        alive = [bool(keys.verified(session, secret, clock.now())) for secret in (other, first, second)]
        key = keys.verified(session, second, clock.now())
    assert alive == [True, False, True]
    assert key is not None
    assert (set(key.scopes), key.principals) == ({"ask", "admin", "local"}, ("everyone",))
