import pytest
from starlette.requests import Request

from api.rest.routes.runs import _fields
from api.rest.schemas import RunBody, UploadQuery


def asked(query: str) -> UploadQuery:
    scope = {"type": "http", "query_string": query.encode(), "headers": []}
    return UploadQuery.model_validate(_fields(Request(scope)))


def test_an_upload_says_in_its_query_how_it_is_read() -> None:
    told = asked("source=s&include=hr-*&include=general&bots=false&languages=en&period=2026-01-01..2026-01-31")
    assert told.reading == {
        "include": ["hr-*", "general"],
        "bots": False,
        "languages": ["en"],
        "period": "2026-01-01..2026-01-31",
    }


def test_what_is_not_said_stays_and_an_empty_list_forgets() -> None:
    assert asked("source=s").reading == {}
    assert asked("source=s&exclude=").reading == {"exclude": []}


def test_all_sources_are_read_as_they_were() -> None:
    with pytest.raises(ValueError, match="read last"):
        RunBody.model_validate({"all": True, "bots": False})
