"""MongoDB's users: the administrator, and the history service's user, which may use the database `history` only."""

from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from infra.provision.settings import Settings

TIMEOUT_MILLISECONDS = 5_000
AUTHENTICATION_FAILED = 18


class Login(NamedTuple):
    """User, password and database of a MongoDB URL."""

    user: str
    password: str
    database: str


def reconcile(settings: Settings) -> list[str]:
    """Creates the users that are missing and puts changed roles back; returns what was changed."""
    try:
        return _reconcile_history(settings)
    except OperationFailure as error:
        if error.code != AUTHENTICATION_FAILED:
            raise
    _create_administrator(settings)
    return ["created the administrator", *_reconcile_history(settings)]


def _reconcile_history(settings: Settings) -> list[str]:
    login = _login(settings.mongodb_url.get_secret_value())
    roles = [{"role": "readWrite", "db": login.database}]
    with _client(settings.mongodb_admin_url.get_secret_value()) as client:
        users = client.admin.command("usersInfo", login.user)["users"]
        if not users:
            client.admin.command("createUser", login.user, pwd=login.password, roles=roles)
            return [f"created the user {login.user}"]
        if users[0]["roles"] != roles:
            client.admin.command("updateUser", login.user, roles=roles)
            return [f"restored the roles of the user {login.user}"]
        return []


def _create_administrator(settings: Settings) -> None:
    """Creates the first user: MongoDB lets a client on its own machine create it without a login."""
    login = _login(settings.mongodb_admin_url.get_secret_value())
    address = urlsplit(settings.mongodb_admin_url.get_secret_value())
    with _client(f"mongodb://{address.hostname}:{address.port}/?directConnection=true") as client:
        client.admin.command("createUser", login.user, pwd=login.password, roles=["root"])


def _client(url: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(url, serverSelectionTimeoutMS=TIMEOUT_MILLISECONDS, connectTimeoutMS=TIMEOUT_MILLISECONDS)


def _login(url: str) -> Login:
    parts = urlsplit(url)
    return Login(unquote(parts.username or ""), unquote(parts.password or ""), parts.path.strip("/"))
