"""The catalogue: all planted bugs, by the part of the system that they are in."""

from collections.abc import Mapping

from tests.mutants.catalogue.bridge import BRIDGE
from tests.mutants.catalogue.configuration import CONFIGURATION
from tests.mutants.catalogue.customer import CUSTOMER
from tests.mutants.catalogue.history import HISTORY
from tests.mutants.catalogue.messaging import MESSAGING
from tests.mutants.catalogue.migrations import MIGRATIONS
from tests.mutants.catalogue.native import NATIVE
from tests.mutants.catalogue.operations import OPERATIONS
from tests.mutants.catalogue.order import ORDER
from tests.mutants.catalogue.provision import PROVISION
from tests.mutants.catalogue.runtime import RUNTIME
from tests.mutants.catalogue.storage import STORAGE
from tests.mutants.catalogue.web import WEB
from tests.mutants.mutant import Area, Mutant

AREAS: Mapping[str, Area] = {
    "customer": CUSTOMER,
    "order": ORDER,
    "history": HISTORY,
    "bridge": BRIDGE,
    "messaging": MESSAGING,
    "storage": STORAGE,
    "migrations": MIGRATIONS,
    "runtime": RUNTIME,
    "web": WEB,
    "operations": OPERATIONS,
    "provision": PROVISION,
    "native": NATIVE,
    "configuration": CONFIGURATION,
}

MUTANTS: tuple[Mutant, ...] = tuple(mutant for area in AREAS.values() for mutant in area.mutants)
