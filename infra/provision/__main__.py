"""`python -m infra.provision keep|once|migrate|check|resnapshot|probe`.

keep        repairs what differs from what is declared, until it is stopped (the keeper)
once        does the same once
migrate     applies the missing migrations
check       fails unless the connectors run
resnapshot  makes Debezium send the outboxes again from a snapshot (after Kafka and JetStream both lost their data)
probe       measures how long an event takes from each outbox to the stream
"""

import argparse
import asyncio
import logging

from infra.provision import connectors, kafka, keeper, mongo, postgres, probe, recreated_topics, schema
from infra.provision.settings import Settings


async def once(settings: Settings) -> None:
    """Reconciles every engine; each step must succeed."""
    changes = await postgres.reconcile(settings)
    changes += await schema.reconcile(settings)
    changes += await postgres.drop_lost_slots(settings)
    changes += mongo.reconcile(settings)
    changes += kafka.reconcile(settings)
    changes += connectors.reconcile(settings)
    changes += await recreated_topics.reconcile(settings)
    print("\n".join(changes) or "nothing differs from what is declared")


async def migrate(settings: Settings) -> None:
    print("\n".join(await schema.reconcile(settings)) or schema.COMPLETE)


async def report_probe(settings: Settings, within: float) -> None:
    for service, milliseconds in (await probe.measure(settings, within)).items():
        print(f"{service}: an event took {milliseconds:.0f} ms from the outbox to the stream")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m infra.provision", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("keep", "once", "migrate", "check", "resnapshot", "probe"))
    parser.add_argument("--within", type=float, default=30.0, help="seconds until the probe fails")
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
        case "resnapshot":
            print("\n".join(connectors.resnapshot_outboxes(settings)))
        case "probe":
            asyncio.run(report_probe(settings, arguments.within))


if __name__ == "__main__":
    main()
