"""`python -m infra.provision keep|once|migrate|check|resend|probe`.

keep    puts back what is lost, without end (the keeper)
once    all stages, once
migrate applies the migrations that the databases have not got yet
check   fails unless the connectors run
resend  sends every row again that the outboxes hold (after Kafka and JetStream both lost their data)
probe   measures how an event flows from each outbox to the stream
"""

import argparse
import asyncio
import logging

from infra.provision import connectors, kafka, keeper, lost_events, mongo, postgres, probe, schema
from infra.provision.settings import Settings


async def once(settings: Settings) -> None:
    """All stages in order, each of which must succeed."""
    changes = await postgres.reconcile(settings)
    changes += await schema.reconcile(settings)
    changes += await postgres.drop_lost_slots(settings)
    changes += mongo.reconcile(settings)
    changes += kafka.reconcile(settings)
    changes += connectors.reconcile(settings)
    changes += await lost_events.resend(settings)
    print("\n".join(changes) or "all is as declared")


async def migrate(settings: Settings) -> None:
    print("\n".join(await schema.reconcile(settings)) or schema.COMPLETE)


async def report_probe(settings: Settings, within: float) -> None:
    for service, milliseconds in (await probe.measure(settings, within)).items():
        print(f"{service}: an event took {milliseconds:.0f} ms from the outbox to the stream")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m infra.provision", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("keep", "once", "migrate", "check", "resend", "probe"))
    parser.add_argument("--within", type=float, default=30.0, help="seconds that the probe may take")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = Settings.read()
    match arguments.command:
        case "keep":
            asyncio.run(keeper.keep(settings))
        case "once":
            asyncio.run(once(settings))
        case "migrate":
            asyncio.run(migrate(settings))
        case "check":
            connectors.check_running(settings)
        case "resend":
            print("\n".join(connectors.resend(settings)))
        case "probe":
            asyncio.run(report_probe(settings, arguments.within))


if __name__ == "__main__":
    main()
