"""The view in MongoDB. Implements services.history.ports; the only file that imports the driver.

Collections, amounts in cents; each generation of the view has two of its own (docs/adr/0010):

    customers_<generation>  {_id: customer id, name, creditLimit, version}
    orders_<generation>     {_id: order id, customerId, total, state, reason, version}
    generations             {_id: "view", live, building, swappedAt}   one document; without it the view was wiped

A customer's page takes one read of each collection, by key and by index. Orders are not embedded in their customer
(docs/adr/0006).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import wraps
from secrets import token_hex
from typing import Any, ParamSpec, TypeVar

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, ConnectionFailure, DuplicateKeyError, OperationFailure, WTimeoutError

from services.history.events import CustomerState, OrderState
from services.history.generations import Generations
from services.history.projection import Changes

Document = dict[str, Any]

NEWEST_ORDERS = 100
"""Orders on a customer's page; the others are on the pages of the list."""

THE_VIEW: Document = {"_id": "view"}

# A write is acknowledged when it is in the journal on disk.
DURABLE = WriteConcern(w="majority", j=True)

TRANSIENT_CODES = frozenset(
    {
        11000,  # two instances insert the same document: the retry of the later one is an update
        11600,  # interrupted at shutdown
        11602,  # interrupted by a change of primary
        91,  # shutdown in progress
        189,  # primary stepped down
        10107,  # not writable primary
        13435,  # not primary, no secondary reads
        13436,  # not primary or recovering
        13,  # unauthorized: after a wipe the keeper creates the user again
        18,  # authentication failed: the same
        175,  # query killed: the collection was dropped during a read
        43,  # cursor not found: the same
        215,  # the database is being dropped
    }
)


class ViewUnavailable(Exception):
    """MongoDB refuses the operation at the moment. A retry can succeed."""


class ViewBeingBuilt(Exception):
    """No generation is complete yet, so there is nothing to read."""

    def __init__(self) -> None:
        super().__init__("the view is being built; try again")


TRANSIENT_ERRORS: tuple[type[Exception], ...] = (ConnectionFailure, WTimeoutError, ViewUnavailable)


P = ParamSpec("P")
R = TypeVar("R")


def _names_outages(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Makes a method raise ViewUnavailable for MongoDB's transient errors."""

    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(*args, **kwargs)
        except OperationFailure as error:
            if _is_transient(error):
                raise ViewUnavailable(f"MongoDB: {error}") from error
            raise

    return call


class Generation:
    """One generation of the view: written by its own consumer, and read while it is live."""

    def __init__(self, database: AsyncIOMotorDatabase[Document], name: str) -> None:
        self.customers: AsyncIOMotorCollection[Document] = database[f"customers_{name}"]
        self.orders: AsyncIOMotorCollection[Document] = database[f"orders_{name}"]

    @_names_outages
    async def prepare(self) -> None:
        """Creates the index that finds a customer's orders."""
        await self.orders.create_indexes([IndexModel([("customerId", ASCENDING), ("_id", DESCENDING)])])

    @_names_outages
    async def drop(self) -> None:
        await self.customers.drop()
        await self.orders.drop()

    @_names_outages
    async def apply(self, changes: Changes) -> None:
        """Writes the newest states. A state that is not newer than the stored one changes nothing.

        It is idempotent: after any failure it can be repeated.

        Raises:
            One of TRANSIENT_ERRORS: MongoDB is away, or asks for a retry.
        """
        await asyncio.gather(
            _write(self.customers, [_customer_update(state) for state in changes.customers.values()]),
            _write(self.orders, [_order_update(state) for state in changes.orders.values()]),
        )

    @_names_outages
    async def find_customer(self, customer_id: int) -> tuple[Document, list[Document]] | None:
        """The customer's document and the newest orders, highest id first; None if there is no such customer."""
        customer, orders = await asyncio.gather(
            self.customers.find_one({"_id": customer_id}), self._orders_of(customer_id, None, NEWEST_ORDERS)
        )
        return (customer, orders) if customer else None

    @_names_outages
    async def list_orders(self, customer_id: int, below: int | None, limit: int) -> list[Document] | None:
        """A customer's orders, highest id first, those with an id less than `below` if given; None as above."""
        customer, orders = await asyncio.gather(
            self.customers.find_one({"_id": customer_id}, {"_id": 1}), self._orders_of(customer_id, below, limit)
        )
        return orders if customer else None

    async def _orders_of(self, customer_id: int, below: int | None, limit: int) -> list[Document]:
        wanted: Document = {"customerId": customer_id}
        if below is not None:
            wanted["_id"] = {"$lt": below}
        return await self.orders.find(wanted).sort("_id", DESCENDING).limit(limit).to_list(limit)

    @_names_outages
    async def count_customers(self) -> int:
        """An exact count: MongoDB's estimate is wrong after it was killed."""
        return int(await self.customers.count_documents({}, hint="_id_"))

    @_names_outages
    async def find_order(self, order_id: int) -> Document | None:
        return await self.orders.find_one({"_id": order_id})

    async def every_customer(self) -> AsyncIterator[Document]:
        """All customers' documents, for an audit."""
        async for document in self.customers.find():
            yield document

    async def every_order(self) -> AsyncIterator[Document]:
        """All orders' documents, for an audit."""
        async for document in self.orders.find():
            yield document


class Views:
    """Stores which generations of the view count, and reads from the live one.

    Args:
        url: MongoDB's, with the database's name.
    """

    def __init__(self, url: str) -> None:
        self._client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
            url, appname="history", serverSelectionTimeoutMS=3_000, connectTimeoutMS=3_000, socketTimeoutMS=30_000
        )
        self._database = self._client.get_default_database(write_concern=DURABLE)
        self._generations: AsyncIOMotorCollection[Document] = self._database["generations"]
        self._live: str | None = None

    def close(self) -> None:
        self._client.close()

    @_names_outages
    async def ping(self) -> str | None:
        await self._database.command("ping")
        return None

    def generation(self, name: str) -> Generation:
        return Generation(self._database, name)

    @_names_outages
    async def look(self) -> Generations:
        """Which generations count at present; none in a database that is new or was wiped."""
        milliseconds = {"$subtract": ["$$NOW", "$swappedAt"]}
        found = await self._generations.find_one(THE_VIEW, {"live": 1, "building": 1, "live_for": milliseconds})
        generations = Generations()
        if found:
            generations = Generations(found["live"], found["building"], (found["live_for"] or 0) / 1000)
        self._live = generations.live
        return generations

    @_names_outages
    async def begin(self) -> str | None:
        """Names a new generation to be built, and returns its name; None while another one is being built."""
        name = token_hex(4)  # never used again: the generation's durable consumer has this name
        beginning = {"$set": {"building": name}, "$setOnInsert": {"live": None, "swappedAt": None}}
        try:
            await self._generations.update_one({**THE_VIEW, "building": None}, beginning, upsert=True)
        except DuplicateKeyError:  # the document exists, and another generation is being built
            return None
        return name

    @_names_outages
    async def swap(self, name: str) -> bool:
        """Makes the generation that is being built the live one; False if it is not being built any more."""
        swapping = {"$set": {"live": name, "building": None}, "$currentDate": {"swappedAt": True}}
        return (await self._generations.update_one({**THE_VIEW, "building": name}, swapping)).modified_count == 1

    @_names_outages
    async def stored(self) -> set[str]:
        """The generations that have collections, whether they count or not."""
        parts = [name.partition("_") for name in await self._database.list_collection_names()]
        return {name for kind, _, name in parts if kind in ("customers", "orders") and name}

    async def find_customer(self, customer_id: int) -> tuple[Document, list[Document]] | None:
        return await self._read(lambda live: live.find_customer(customer_id))

    async def list_orders(self, customer_id: int, below: int | None, limit: int) -> list[Document] | None:
        return await self._read(lambda live: live.list_orders(customer_id, below, limit))

    async def count_customers(self) -> int:
        return await self._read(lambda live: live.count_customers())

    async def find_order(self, order_id: int) -> Document | None:
        return await self._read(lambda live: live.find_order(order_id))

    async def _read(self, read: Callable[[Generation], Awaitable[R]]) -> R:
        """Reads from the live generation.

        The answer counts only if the generation is still live after the read. Otherwise it may come from a view that
        was wiped and is being filled again, or from collections that were dropped.

        Raises:
            ViewBeingBuilt: no generation is live.
        """
        live = self._live or (await self.look()).live
        while live:
            found = await read(self.generation(live))
            live, before = (await self.look()).live, live
            if live == before:
                return found
        raise ViewBeingBuilt


async def _write(collection: AsyncIOMotorCollection[Document], updates: Sequence[UpdateOne]) -> None:
    if updates:
        await collection.bulk_write(list(updates), ordered=False)


def _is_transient(error: OperationFailure) -> bool:
    if isinstance(error, BulkWriteError):
        codes = {fault["code"] for fault in error.details["writeErrors"]}
        return codes <= TRANSIENT_CODES  # no codes at all: only the journal's acknowledgement is missing
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
    # $literal: a customer's name such as "$version" must not be evaluated as an expression.
    taken = {"$cond": [is_newer, {"$literal": {"_id": document_id, **document}}, "$$ROOT"]}
    return UpdateOne({"_id": document_id}, [{"$replaceWith": taken}], upsert=True)
