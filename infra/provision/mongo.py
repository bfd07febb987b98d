"""The administrator, and the history service's user, who may read and write the database `history` and nothing else."""

from typing import Any
from urllib.parse import unquote, urlsplit

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from infra.provision.settings import Settings

TIMEOUT_MILLISECONDS = 5_000
AUTHENTICATION_FAILED = 18


def reconcile(settings: Settings) -> list[str]:
    """Create the users that are missing; answers what was created."""
    try:
        return _reconcile_history(settings)
    except OperationFailure as error:
        if error.code != AUTHENTICATION_FAILED:
            raise
    _create_administrator(settings)
    return ["administrator", *_reconcile_history(settings)]


def _reconcile_history(settings: Settings) -> list[str]:
    name, password, database = _account(settings.mongodb_url.get_secret_value())
    with _client(settings.mongodb_admin_url.get_secret_value()) as client:
        if client.admin.command("usersInfo", name)["users"]:
            return []
        roles = [{"role": "readWrite", "db": database}]
        client.admin.command("createUser", name, pwd=password, roles=roles)
        return [f"user {name}"]


def _create_administrator(settings: Settings) -> None:
    """MongoDB lets a client on its own machine create the first user without a password, and only the first."""
    name, password, _ = _account(settings.mongodb_admin_url.get_secret_value())
    address = urlsplit(settings.mongodb_admin_url.get_secret_value())
    with _client(f"mongodb://{address.hostname}:{address.port}/?directConnection=true") as client:
        client.admin.command("createUser", name, pwd=password, roles=["root"])


def _client(url: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(url, serverSelectionTimeoutMS=TIMEOUT_MILLISECONDS, connectTimeoutMS=TIMEOUT_MILLISECONDS)


def _account(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return unquote(parts.username or ""), unquote(parts.password or ""), parts.path.strip("/")
