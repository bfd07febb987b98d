"""The bridge, put together. Production and the simulation both call `assemble`."""

from services.bridge.ports import Ports
from services.bridge.relay import Relay
from services.bridge.settings import Settings
from web.application import Service
from web.health import fault_of


def assemble(ports: Ports, settings: Settings) -> Service:
    """Its worker and health check, over the given ports; it has no routes. Nothing is opened or started."""
    relay = Relay(ports.stream, ports.records, settings.topics)
    return Service(workers={"relay": relay}, checks={"relay": fault_of(relay)})
