"""The tables of the services: applies the migrations that their databases have not got yet."""

from pathlib import Path

import services
from infra.provision.settings import SERVICES, Settings
from storage import migrate
from storage.schema import migration_folders

COMPLETE = "all migrations are applied"


def folders_of(service: str) -> tuple[Path, Path]:
    """Where the migrations of a service are: the shared ones and its own."""
    [packages] = services.__path__
    return migration_folders(Path(packages) / service)


async def reconcile(settings: Settings) -> list[str]:
    """Apply what is missing; answers what was applied. Several processes may do it at once.

    Raises:
        storage.migrate.MigrationFailed, OSError, asyncpg.PostgresError: see storage.migrate.apply.
    """
    applied = {
        service: await migrate.apply(settings.database_url(service), folders_of(service)) for service in SERVICES
    }
    return [f"{service}: applied {', '.join(names)}" for service, names in applied.items() if names]
