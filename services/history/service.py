"""The history service, put together. Production, the simulation and the tests on real engines all call `assemble`."""

from functools import partial

from messaging.consumer import ConsumerOptions
from messaging.subscriber import Subscriber
from runtime.linger import Linger
from services.history.events import VIEW_EVENTS
from services.history.handlers import handle_events
from services.history.ports import Ports
from services.history.routes import HistoryApi
from services.history.settings import Settings
from services.history.subscriptions import consumer_of
from services.history.views import TRANSIENT_ERRORS, ViewBeingBuilt
from services.history.watch import Watch
from web.application import Service
from web.problems import Unavailable

LINGER = Linger(per_item=0.003, multiple=6, longest=0.024, full_batch=50)
"""The view may lag; no step of the saga waits for it."""


def assemble(ports: Ports, settings: Settings) -> Service:
    """Its routes, workers and health checks, over the given ports. Nothing is opened or started."""
    views = ports.views
    options = ConsumerOptions(TRANSIENT_ERRORS, linger=LINGER, types=frozenset(VIEW_EVENTS.types))

    def fill(generation: str) -> Subscriber:
        view = views.generation(generation)
        return Subscriber(ports.stream, consumer_of(generation), partial(handle_events, view), options, view.prepare)

    watch = Watch(views, ports.stream, fill, settings.view_grace_seconds)

    async def is_live() -> str | None:
        # Asked anew each time: after a wipe the watch's own knowledge is some seconds old.
        return watch.fault if (await views.look()).live else "the view is being built"

    return Service(
        workers={"watch": watch},
        checks={"database": views.ping, "view": is_live},
        routes=HistoryApi(views).routes(),
        outages=TRANSIENT_ERRORS,
        problems={ViewBeingBuilt: Unavailable},
    )
