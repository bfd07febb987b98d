"""Bugs of the history service."""

from tests.mutants.mutant import Area, Mutant

PROJECTION = "services/history/projection.py"
GENERATIONS = "services/history/generations.py"
WATCH = "services/history/watch.py"
VIEWS = "services/history/views.py"
SERVICE = "services/history/service.py"
ROUTES = "services/history/routes.py"
EVENTS = "services/history/events.py"

VIEWS_TESTS = "tests/integration/services/history/test_views.py"
VIEWING_TESTS = "tests/behaviour/test_viewing.py"

HISTORY = Area(
    suites=("unit", "simulation", "long simulation", "engines"),
    mutants=(
        Mutant(
            "the projection takes the last order, not the newest",
            PROJECTION,
            "if seen is None or event.version > seen.version:",
            "if True:",
        ),
        Mutant(
            "the projection takes the last customer, not the newest",
            PROJECTION,
            "if known is None or event.version > known.version:",
            "if True:",
        ),
        Mutant(
            "the view takes any state that comes",
            VIEWS,
            '{"$gt": [document["version"], {"$ifNull": ["$version", 0]}]}',
            '{"$gt": [document["version"], 0]}',
            VIEWING_TESTS,
        ),
        Mutant(
            "the view evaluates names",
            VIEWS,
            '{"$literal": {"_id": document_id, **document}}',
            '{"_id": document_id, **document}',
            VIEWS_TESTS,
        ),
        Mutant(
            "a write to the view need not be on disk",
            VIEWS,
            'WriteConcern(w="majority", j=True)',
            "WriteConcern(w=1)",
            "tests/integration/infra/test_guarantees.py",
        ),
        Mutant(
            "two instances that insert one document make a dead letter",
            VIEWS,
            "        11000,  # two instances",
            "        # two instances",
            f"{VIEWING_TESTS} {VIEWS_TESTS}",
        ),
        Mutant(
            "a read of the view does not check which generation is live",
            VIEWS,
            "            if live == before:\n",
            "            if True:\n",
            "tests/integration/services/history",
        ),
        Mutant(
            "a rebuild can begin while another one runs",
            VIEWS,
            '{**THE_VIEW, "building": None}, beginning',
            "THE_VIEW, beginning",
            VIEWING_TESTS,
        ),
        Mutant(
            "any generation can be swapped in",
            VIEWS,
            '{**THE_VIEW, "building": name}, swapping',
            "THE_VIEW, swapping",
            VIEWING_TESTS,
        ),
        Mutant(
            "a customer's page shows the oldest orders",
            VIEWS,
            'self.orders.find(wanted).sort("_id", DESCENDING)',
            'self.orders.find(wanted).sort("_id", ASCENDING)',
            VIEWING_TESTS,
        ),
        Mutant(
            "the next page shows the last order again",
            VIEWS,
            'wanted["_id"] = {"$lt": below}',
            'wanted["_id"] = {"$lte": below}',
            VIEWING_TESTS,
        ),
        Mutant(
            "customers are counted by MongoDB's estimate",
            VIEWS,
            'self.customers.count_documents({}, hint="_id_")',
            "self.customers.estimated_document_count()",
            VIEWS_TESTS,
        ),
        Mutant(
            "a dropped generation keeps its orders",
            VIEWS,
            "        await self.orders.drop()\n",
            "",
            VIEWING_TESTS,
        ),
        Mutant(
            "a view is swapped in before it has caught up",
            GENERATIONS,
            "return left == 0 or (end_before is not None and acknowledged >= end_before)",
            "return True",
        ),
        Mutant(
            "a view is swapped in behind the live one",
            GENERATIONS,
            "return left == 0 or acknowledged >= delivered_live",
            "return True",
        ),
        Mutant("the live view is cleared away", WATCH, "stored.difference(generations.wanted)", "stored"),
        Mutant(
            "the live view goes on while another one is swapped in",
            WATCH,
            "        await pause(client, consumer_of(live), STANDSTILL_SECONDS)\n",
            "",
        ),
        Mutant(
            "a stale end of the stream is reached too early",
            WATCH,
            "end_before, filling.end_before = filling.end_before, None",
            "end_before = filling.end_before",
        ),
        Mutant(
            "a generation that was just swapped out is dropped",
            WATCH,
            "        if generations.live_for <= self.grace:\n",
            "        if False:\n",
        ),
        Mutant(
            "the consumer of a dropped generation stays",
            WATCH,
            "                await delete_consumer(client, VIEW.stream, consumer_of(name).durable_name)\n",
            "                pass\n",
        ),
        Mutant(
            "a subscriber of the view fails and nobody notices",
            WATCH,
            "            if task.done() and not self._stopping:\n                task.result()\n",
            "            if task.done() and not self._stopping:\n                pass\n",
        ),
        Mutant(
            "an outage of MongoDB ends the watch",
            WATCH,
            "        except AWAY as error:\n",
            "        except TimeoutError as error:\n",
        ),
        Mutant(
            "an outage of MongoDB makes dead letters",
            SERVICE,
            "ConsumerOptions(TRANSIENT_ERRORS, linger=LINGER, ",
            "ConsumerOptions((), linger=LINGER, ",
        ),
        Mutant(
            "the view is filled without a linger", SERVICE, "(TRANSIENT_ERRORS, linger=LINGER, ", "(TRANSIENT_ERRORS, "
        ),
        Mutant(
            "the grace of the settings is ignored",
            SERVICE,
            "Watch(views, ports.stream, fill, settings.view_grace_seconds)",
            "Watch(views, ports.stream, fill)",
        ),
        Mutant(
            "the history is ready while its view is filled by nobody",
            SERVICE,
            "return watch.fault if (await views.look()).live else",
            "return None if (await views.look()).live else",
        ),
        Mutant(
            "the history is ready before the first view is complete",
            SERVICE,
            "return watch.fault if (await views.look()).live else",
            "return watch.fault if (await views.look()).wanted else",
        ),
        Mutant("an outage is a 500 of the history", SERVICE, "outages=TRANSIENT_ERRORS,", "outages=(),"),
        Mutant(
            "a view that is being built is a 500",
            SERVICE,
            "        problems={ViewBeingBuilt: Unavailable},\n",
            "",
        ),
        Mutant(
            "all generations share one consumer",
            SERVICE,
            "consumer_of(generation), partial",
            'consumer_of(""), partial',
        ),
        Mutant(
            "every page of a customer's history is the first",
            ROUTES,
            "list_orders(customer_id, page.after, page.limit)",
            "list_orders(customer_id, None, page.limit)",
            "tests/e2e/test_http_lists.py",
        ),
        Mutant(
            "the history does not show why an order was rejected",
            ROUTES,
            '    if order["reason"]:\n        body["rejectionReason"] = order["reason"]\n',
            "",
            "tests/e2e/test_http_contract.py tests/e2e/test_readme.py",
        ),
        Mutant("cancellations do not get into the view", EVENTS, '        "OrderCancelled": OrderState,\n', ""),
    ),
)
