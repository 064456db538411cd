"""The Celery application: its settings as they take effect, its one task, and what it refuses."""

import json
from typing import Any

import celery
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from core.errors import InvalidSettingError
from core.settings import QueueSettings
from workers.app import QUEUE, RUN, VISIBILITY_SECONDS, celery_app, register_run
from workers.bell import Bell
from workers.errors import DoorbellUnreachableError

RUN_ID = "0123456789abcdef" * 2
CANARY = "canary-51d0"

EFFECTIVE = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_disable_prefetch": True,
    "worker_prefetch_multiplier": 0,
    "task_ignore_result": True,
    "result_backend": None,
    "accept_content": ["json"],
    "task_serializer": "json",
    "task_publish_retry": False,
    "task_create_missing_queues": False,
    "visibility_timeout": VISIBILITY_SECONDS,
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_enable_remote_control": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "task_time_limit": None,
    "task_always_eager": False,
}


def app_in_memory() -> Any:  # noqa: ANN401 - Celery ships no annotations
    return celery_app(QueueSettings(url="memory://"))


@pytest.mark.parametrize("name", sorted(EFFECTIVE))
def test_a_setting_takes_effect(name: str) -> None:
    assert app_in_memory().conf[name] == EFFECTIVE[name]


def test_the_visibility_timeout_is_the_same_in_all_three_places() -> None:
    conf = app_in_memory().conf
    elsewhere = (conf.broker_transport_options, conf.result_backend_transport_options)
    assert [options["visibility_timeout"] for options in elsewhere] == [conf.visibility_timeout] * 2
    assert conf.visibility_timeout <= 60


def test_the_broker_sees_the_transport_settings() -> None:
    url = "redis+socket:///nowhere/bell.sock"
    with celery_app(QueueSettings(url=url)).connection_for_read() as connection:
        wanted = {"unacked_restore_interval": 5, "unacked_restore_throttle": 1, "health_check_interval": 10}
        assert wanted.items() <= connection.transport_options.items()


def test_the_app_is_nobodys_default() -> None:
    app = app_in_memory()
    assert celery.current_app._get_current_object() is not app


def test_without_a_broker_there_is_no_app() -> None:
    with pytest.raises(InvalidSettingError, match="THREADWISE_QUEUE__URL"):
        celery_app(QueueSettings())


def test_every_task_that_is_sent_is_registered_and_carries_one_id() -> None:
    app = app_in_memory()
    register_run(app, lambda _run: None)
    bell = Bell(app)
    bell.ring(RUN_ID)
    message = bell._connection.default_channel.basic_get(QUEUE)
    assert message.headers["task"] in app.tasks
    assert [name for name in app.tasks if not name.startswith("celery.")] == [RUN]
    arguments, keywords, _ = json.loads(message.body)
    assert (arguments, keywords) == ([RUN_ID], {})
    assert message.headers["expires"]
    assert message.headers["eta"] is None
    bell.close()


def test_a_ring_with_an_id_is_answered() -> None:
    app, answered = app_in_memory(), list[str]()
    register_run(app, answered.append)
    app.tasks[RUN](RUN_ID)
    assert answered == [RUN_ID]


def test_a_broker_that_is_not_there_is_told_without_its_password() -> None:
    bell = Bell(celery_app(QueueSettings(url=f"redis://:{CANARY}@127.0.0.1:1/0")))
    for act in (lambda: bell.ring(RUN_ID), bell.waiting):
        with pytest.raises(DoorbellUnreachableError) as caught:
            act()
        assert CANARY not in str(caught.value)
    bell.close()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(json_values, max_size=3), st.dictionaries(st.text(min_size=1), json_values, max_size=2))
def test_a_ring_with_anything_else_is_refused(arguments: list[object], keywords: dict[str, object]) -> None:
    app, answered = APP, ANSWERED
    app.tasks[RUN](*arguments, **{name: value for name, value in keywords.items() if name != "self"})
    assert answered == []


@pytest.mark.parametrize("near", [RUN_ID.upper().replace("0", "A"), RUN_ID + "\n", RUN_ID[:-1], f"{RUN_ID} ", "é" * 32])
def test_what_is_nearly_an_id_is_refused_and_not_logged(near: str) -> None:
    with capture_logs() as logs:
        APP.tasks[RUN](near + CANARY)
        APP.tasks[RUN](near)
    assert ANSWERED == []
    assert [entry["event"] for entry in logs] == ["ring_refused"] * 2
    assert CANARY not in str(logs)


ANSWERED: list[str] = []
APP = app_in_memory()
register_run(APP, ANSWERED.append)
