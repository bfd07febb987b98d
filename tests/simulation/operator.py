"""The operator's `./saga republish`: a process of its own that runs a service's code on the service's database."""

from collections.abc import Mapping

from services.customer import handlers as customer
from services.order import handlers as order
from storage.postgres import TRANSIENT_ERRORS
from tests.simulation.clock import pass_time
from tests.simulation.postgres import Database
from tests.simulation.process import Life
from tests.simulation.repositories import CUSTOMERS, ORDERS, CustomerRepository, OrderRepository
from tests.simulation.world import World

NAME = "operator"
RETRY_SECONDS = 0.2
BATCH = 3
TABLES = {"customer": CUSTOMERS, "order": ORDERS}


async def republish(world: World, databases: Mapping[str, Database], service: str) -> None:
    """Begins again after an outage, and checks that every state was sent that existed at the beginning."""
    database, life = databases[service], Life(NAME, world)
    while True:
        ids = {str(number) for number in database.rows(TABLES[service])}
        start = len(database.log)
        try:
            await life.run(_republish_once(database, service, life))
        except TRANSIENT_ERRORS:
            await pass_time(RETRY_SECONDS)
        else:
            sent = {entry.row.aggregate_id for entry in database.log[start:] if entry.transaction.process == NAME}
            world.require(ids <= sent, "%s: %s were republished, and not %s", service, sent, ids - sent)
            world.struck("states republished")
            return


async def _republish_once(database: Database, service: str, life: Life) -> int:
    if service == "customer":
        return await customer.republish(CustomerRepository(database, life), BATCH)
    return await order.republish(OrderRepository(database, life), BATCH)
