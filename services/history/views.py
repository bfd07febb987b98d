"""The view in MongoDB: the only file that knows the driver.

Collections, amounts in cents:

    customers {_id: customer id, name, creditLimit, version}
    orders    {_id: order id, customerId, total, state, reason, version}
    identity  {_id: "view", value}     made with the view; another one, or none, after it was wiped

A customer's page is one read of each, by key and by index. Orders are not embedded in their
customer: such a document is written anew with each order, and has to forget old ones before
MongoDB's 16 MB (docs/adr/0006).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure, WTimeoutError

from services.history.events import CustomerState, OrderState
from services.history.projection import Changes

Document = dict[str, Any]

NEWEST_ORDERS = 100
"""How many orders a customer's page shows; the others are on the pages of the list."""

# Acknowledged only when it is in the journal on disk.
DURABLE = WriteConcern(w="majority", j=True)

TRANSIENT_CODES = frozenset(
    {
        11000,  # two instances create the same document: the later one, repeated, becomes an update
        11600,  # interrupted at shutdown
        11602,  # interrupted by a change of primary
        91,  # shutdown in progress
        189,  # primary stepped down
        10107,  # not writable primary
        13435,  # not primary, no secondary reads
        13436,  # not primary or recovering
        13,  # unauthorized, and
        18,  # authentication failed: after a wipe the user is made again with the view's database
    }
)


class ViewUnavailable(Exception):
    """MongoDB refuses for now; a retry can cure it."""


TRANSIENT_ERRORS: tuple[type[Exception], ...] = (ConnectionFailure, WTimeoutError, ViewUnavailable)


P = ParamSpec("P")
R = TypeVar("R")


def _names_outages(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Lets a method raise ViewUnavailable where MongoDB's refusal passes by itself."""

    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(*args, **kwargs)
        except OperationFailure as error:
            if _is_transient(error):
                raise ViewUnavailable(f"MongoDB: {error}") from error
            raise

    return call


class Views:
    """Reads and writes the view.

    Args:
        url: MongoDB's, with the database's name.
    """

    def __init__(self, url: str) -> None:
        self._client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
            url, appname="history", serverSelectionTimeoutMS=3_000, connectTimeoutMS=3_000, socketTimeoutMS=30_000
        )
        self._database = self._client.get_default_database(write_concern=DURABLE)
        self._customers: AsyncIOMotorCollection[Document] = self._database["customers"]
        self._orders: AsyncIOMotorCollection[Document] = self._database["orders"]
        self._identity: AsyncIOMotorCollection[Document] = self._database["identity"]
        self._prepared = ""

    def close(self) -> None:
        self._client.close()

    @_names_outages
    async def prepare(self) -> str:
        """Creates the index that a customer's orders are found by, and returns the view's identity."""
        await self._orders.create_indexes([IndexModel([("customerId", ASCENDING), ("_id", DESCENDING)])])
        document = await self._identity.find_one_and_update(
            {"_id": "view"}, {"$setOnInsert": {"value": uuid4().hex}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        self._prepared = str(document["value"])
        return self._prepared

    @_names_outages
    async def is_wiped(self) -> bool:
        """Whether the view that was prepared is gone, with or without another in its place."""
        document = await self._identity.find_one({"_id": "view"})
        return self._prepared != "" and (document is None or document["value"] != self._prepared)

    @_names_outages
    async def ping(self) -> None:
        """A readiness check: raises what keeps MongoDB from answering."""
        await self._database.command("ping")

    @_names_outages
    async def apply(self, changes: Changes) -> None:
        """Writes the newest states; one that is not newer than what is stored changes nothing.

        Can be repeated after any failure: taking a state twice is taking it once.

        Raises:
            one of TRANSIENT_ERRORS: MongoDB is away or asks for a repetition.
        """
        await asyncio.gather(
            _write(self._customers, [_customer_update(state) for state in changes.customers.values()]),
            _write(self._orders, [_order_update(state) for state in changes.orders.values()]),
        )

    @_names_outages
    async def find_customer(self, customer_id: int) -> tuple[Document, list[Document]] | None:
        """The customer's document and the newest orders, highest id first; None if there is no such customer."""
        customer, orders = await asyncio.gather(
            self._customers.find_one({"_id": customer_id}), self.list_orders(customer_id, None, NEWEST_ORDERS)
        )
        return (customer, orders) if customer else None

    @_names_outages
    async def knows_customer(self, customer_id: int) -> bool:
        return await self._customers.find_one({"_id": customer_id}, {"_id": 1}) is not None

    @_names_outages
    async def count_customers(self) -> int:
        """Counted, not estimated: the estimate is wrong after MongoDB was killed."""
        return int(await self._customers.count_documents({}, hint="_id_"))

    @_names_outages
    async def find_order(self, order_id: int) -> Document | None:
        return await self._orders.find_one({"_id": order_id})

    @_names_outages
    async def list_orders(self, customer_id: int, below: int | None, limit: int) -> list[Document]:
        """A customer's orders, highest id first, those with an id less than `below` if given."""
        wanted: Document = {"customerId": customer_id}
        if below is not None:
            wanted["_id"] = {"$lt": below}
        return await self._orders.find(wanted).sort("_id", DESCENDING).limit(limit).to_list(limit)

    async def every_customer(self) -> AsyncIterator[Document]:
        """All customers' documents, for an audit."""
        async for document in self._customers.find():
            yield document

    async def every_order(self) -> AsyncIterator[Document]:
        """All orders' documents, for an audit."""
        async for document in self._orders.find():
            yield document


async def _write(collection: AsyncIOMotorCollection[Document], updates: Sequence[UpdateOne]) -> None:
    if updates:
        await collection.bulk_write(list(updates), ordered=False)


def _is_transient(error: OperationFailure) -> bool:
    if isinstance(error, BulkWriteError):
        codes = {fault["code"] for fault in error.details["writeErrors"]}
        return codes <= TRANSIENT_CODES  # none at all: only the journal's confirmation is missing
    return error.code in TRANSIENT_CODES


def _customer_update(state: CustomerState) -> UpdateOne:
    document = {"name": state.name, "creditLimit": state.credit_limit.cents, "version": state.version}
    return _take_if_newer(state.customer_id, document)


def _order_update(state: OrderState) -> UpdateOne:
    document = {
        "customerId": state.customer_id,
        "total": state.order_total.cents,
        "state": state.state,
        "reason": state.rejection_reason,
        "version": state.version,
    }
    return _take_if_newer(state.order_id, document)


def _take_if_newer(document_id: int, document: Mapping[str, Any]) -> UpdateOne:
    is_newer = {"$gt": [document["version"], {"$ifNull": ["$version", 0]}]}
    # $literal, or a name such as "$version" would be read as an expression.
    taken = {"$cond": [is_newer, {"$literal": {"_id": document_id, **document}}, "$$ROOT"]}
    return UpdateOne({"_id": document_id}, [{"$replaceWith": taken}], upsert=True)
