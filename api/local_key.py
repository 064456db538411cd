"""Makes the key with which the commands of this machine open the service, and prints it.

A process of its own: `threadwise up` lives as long as the service and needs no database for anything else.
"""

import sys

from core import clock
from core.catalog import keys
from core.database import Database
from core.errors import ThreadwiseError
from core.settings import load_settings
from core.words import EVERYONE

NAME = "local"


def renewed(database: Database) -> str:
    """The secret of a new local key; earlier ones open nothing any more. Only one service may run on a catalogue."""
    now = clock.now()
    with database.write() as session:
        for key in keys.every(session):
            if key.name == NAME and "local" in key.scopes and key.is_alive(now):
                keys.revoke(session, key.id, now)
        _, secret = keys.create(session, name=NAME, scopes=keys.SCOPES, principals=(EVERYONE,), now=now)
    return secret


def main() -> int:
    """Bring the catalogue's schema up to date and print a new local key, or an error as JSON with status 1."""
    from api.errors import as_json  # noqa: PLC0415 - only where something went wrong

    try:
        database = Database(load_settings().resolved_database_url)
        database.migrate()
        sys.stdout.write(renewed(database))
        database.close()
    except ThreadwiseError as error:
        sys.stdout.write(as_json(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
