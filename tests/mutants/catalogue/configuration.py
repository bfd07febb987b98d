"""Bugs of configuration files: what an engine, a connector or a container is told."""

from tests.mutants.mutant import Area, Mutant

POSTGRESQL = "infra/postgres/postgresql.conf"
PG_HBA = "infra/postgres/pg_hba.conf"
NATS = "infra/nats/nats-server.conf"
MONGOD = "infra/mongo/mongod.conf"
BROKER = "infra/kafka/broker.properties"
CONNECT = "infra/kafka/connect.properties"
TOPICS = "infra/kafka/topics.json"
START_CONNECT = "infra/kafka/start-connect.sh"
OUTBOX = "infra/debezium/outbox.json"
COMPOSE = "infra/compose.yaml"
DOCKERFILE = "infra/Dockerfile"

DURABILITY_TESTS = "tests/integration/infra/test_guarantees.py"
REFUSALS_TESTS = "tests/e2e/test_refusals.py"
EXPOSURE_TESTS = "tests/e2e/test_exposure.py"
DECLARED_TESTS = f"tests/unit/infra/provision/test_connectors_and_topics.py {DURABILITY_TESTS}"
EQUAL_TESTS = "tests/contract/test_compose_equals_native.py"

CONFIGURATION = Area(
    suites=("unit", "stack"),
    mutants=(
        Mutant("PostgreSQL does not write to disk", POSTGRESQL, "fsync = on", "fsync = off", DURABILITY_TESTS),
        Mutant(
            "a commit is acknowledged before it is on disk",
            POSTGRESQL,
            "synchronous_commit = on",
            "synchronous_commit = off",
            DURABILITY_TESTS,
        ),
        Mutant("pages may be torn", POSTGRESQL, "full_page_writes = on", "full_page_writes = off", DURABILITY_TESTS),
        Mutant(
            "a slot that is not read fills the disk",
            POSTGRESQL,
            "max_slot_wal_keep_size = 1GB",
            "max_slot_wal_keep_size = -1",
            DURABILITY_TESTS,
        ),
        Mutant(
            "PostgreSQL trusts every client",
            PG_HBA,
            "host    all          all   all      scram-sha-256",
            "host    all          all   all      trust",
            REFUSALS_TESTS,
        ),
        Mutant(
            "PostgreSQL trusts every replication client",
            PG_HBA,
            "host    replication  all   all      scram-sha-256",
            "host    replication  all   all      trust",
            REFUSALS_TESTS,
        ),
        Mutant(
            "JetStream writes to disk every two minutes",
            NATS,
            "  sync_interval: always\n",
            "",
            DURABILITY_TESTS,
        ),
        Mutant("NATS accepts every client", NATS, "authorization {\n  token: $NATS_TOKEN\n}\n", "", REFUSALS_TESTS),
        Mutant(
            "NATS refuses a dead letter of the largest record",
            NATS,
            "max_payload: 2MB",
            "max_payload: 1MB",
            DURABILITY_TESTS,
        ),
        Mutant(
            "MongoDB accepts every client",
            MONGOD,
            "  authorization: enabled",
            "  authorization: disabled",
            REFUSALS_TESTS,
        ),
        Mutant(
            "Kafka's clients need no password",
            BROKER,
            "listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,",
            "listener.security.protocol.map=CLIENT:PLAINTEXT,",
            REFUSALS_TESTS,
        ),
        Mutant(
            "Kafka's controller needs no password",
            BROKER,
            ",CONTROLLER:SASL_PLAINTEXT",
            ",CONTROLLER:PLAINTEXT",
            REFUSALS_TESTS,
        ),
        Mutant(
            "Kafka's controller listens everywhere",
            BROKER,
            "CONTROLLER://127.0.0.1:${env",
            "CONTROLLER://0.0.0.0:${env",
            EXPOSURE_TESTS,
        ),
        Mutant(
            "any client of Kafka can create topics",
            BROKER,
            "auto.create.topics.enable=false",
            "auto.create.topics.enable=true",
            DURABILITY_TESTS,
        ),
        Mutant(
            "a replica that lags behind may lead",
            BROKER,
            "unclean.leader.election.enable=false",
            "unclean.leader.election.enable=true",
            DURABILITY_TESTS,
        ),
        Mutant(
            "Kafka acknowledges before it has a record",
            CONNECT,
            "producer.acks=all",
            "producer.acks=1",
            DURABILITY_TESTS,
        ),
        Mutant(
            "records may be stored twice and in any order",
            CONNECT,
            "producer.enable.idempotence=true",
            "producer.enable.idempotence=false",
            DURABILITY_TESTS,
        ),
        Mutant(
            "Kafka may be down for two minutes only",
            CONNECT,
            "producer.delivery.timeout.ms=86400000",
            "producer.delivery.timeout.ms=120000",
            DURABILITY_TESTS,
        ),
        Mutant(
            "Connect's API needs no password",
            CONNECT,
            "rest.extension.classes=org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension\n",
            "",
            REFUSALS_TESTS,
        ),
        Mutant(
            "a connector may change its producer",
            CONNECT,
            "connector.client.config.override.policy=None",
            "connector.client.config.override.policy=All",
            DURABILITY_TESTS,
        ),
        Mutant(
            "Connect's passwords are readable for everybody",
            START_CONNECT,
            "umask 077",
            "umask 022",
            f"tests/unit/infra/kafka/test_start_connect.py {EXPOSURE_TESTS}",
        ),
        Mutant(
            "an event need not be on Kafka's disk",
            TOPICS,
            '"events.order": {\n      "partitions": 2,\n      "config": {\n        "cleanup.policy": "delete", "retention.ms": "604800000", "retention.bytes": "1073741824", "segment.bytes": "67108864",\n        "min.insync.replicas": "1", "flush.messages": "1"',
            '"events.order": {\n      "partitions": 2,\n      "config": {\n        "cleanup.policy": "delete", "retention.ms": "604800000", "retention.bytes": "1073741824", "segment.bytes": "67108864",\n        "min.insync.replicas": "1", "flush.messages": "1000"',
            DECLARED_TESTS,
        ),
        Mutant(
            "events are kept for an hour",
            TOPICS,
            '"events.customer": {\n      "partitions": 2,\n      "config": {\n        "cleanup.policy": "delete", "retention.ms": "604800000"',
            '"events.customer": {\n      "partitions": 2,\n      "config": {\n        "cleanup.policy": "delete", "retention.ms": "3600000"',
            DECLARED_TESTS,
        ),
        Mutant(
            "Connect's offsets are deleted after their retention",
            TOPICS,
            '"connect.offsets": {\n      "partitions": 1,\n      "config": { "cleanup.policy": "compact"',
            '"connect.offsets": {\n      "partitions": 1,\n      "config": { "cleanup.policy": "delete"',
            DECLARED_TESTS,
        ),
        Mutant(
            "a lost slot is not followed by a snapshot",
            OUTBOX,
            '"snapshot.mode": "when_needed"',
            '"snapshot.mode": "no_data"',
            DECLARED_TESTS,
        ),
        Mutant(
            "Debezium gives up after ten attempts",
            OUTBOX,
            '"errors.max.retries": "-1"',
            '"errors.max.retries": "10"',
            DECLARED_TESTS,
        ),
        Mutant(
            "Debezium skips what it cannot read",
            OUTBOX,
            '"errors.tolerance": "none"',
            '"errors.tolerance": "all"',
            DECLARED_TESTS,
        ),
        Mutant(
            "a stopped connector loses its slot",
            OUTBOX,
            '"slot.drop.on.stop": "false"',
            '"slot.drop.on.stop": "true"',
            DECLARED_TESTS,
        ),
        Mutant(
            "the slot of an idle database keeps the log",
            OUTBOX,
            '"heartbeat.interval.ms": "10000"',
            '"heartbeat.interval.ms": "0"',
            DECLARED_TESTS,
        ),
        Mutant(
            "Debezium publishes other tables",
            OUTBOX,
            '"table.include.list": "public.outbox"',
            '"table.include.list": "public.*"',
            DECLARED_TESTS,
        ),
        Mutant(
            "the trace of an event is left in the outbox",
            OUTBOX,
            '"type:header,traceparent:header,created_at:header"',
            '"type:header,created_at:header"',
            "tests/unit/infra/provision/test_connectors_and_topics.py tests/e2e/test_saga.py",
        ),
        Mutant(
            "events of one aggregate lose their order",
            OUTBOX,
            '"transforms.outbox.table.field.event.key": "aggregateid"',
            '"transforms.outbox.table.field.event.key": "id"',
            DECLARED_TESTS,
        ),
        Mutant(
            "a container's port is open to the network",
            COMPOSE,
            'ports: ["127.0.0.1:${ORDER_PORT:-8081}:8081"]',
            'ports: ["${ORDER_PORT:-8081}:8081"]',
            EQUAL_TESTS,
        ),
        Mutant(
            "a secret has a default",
            COMPOSE,
            "x-nats-client: &nats-client\n  NATS_URL: nats://nats:4222\n  NATS_TOKEN: ${NATS_TOKEN:?make up sets it}",
            "x-nats-client: &nats-client\n  NATS_URL: nats://nats:4222\n  NATS_TOKEN: ${NATS_TOKEN:-secret}",
            EQUAL_TESTS,
        ),
        Mutant(
            "a container is not started again",
            COMPOSE,
            "  restart: unless-stopped\n  init: true\n",
            "  init: true\n",
            EQUAL_TESTS,
        ),
        Mutant("a setting is not passed on to the containers", COMPOSE, "  ORDER_DEADLINE_SECONDS:\n", "", EQUAL_TESTS),
        Mutant(
            "PostgreSQL's container has its own configuration",
            COMPOSE,
            "      - ./postgres/postgresql.conf:/etc/postgresql/postgresql.conf:ro\n",
            "",
            EQUAL_TESTS,
        ),
        Mutant("another major version of PostgreSQL", COMPOSE, "image: postgres:18", "image: postgres:17", EQUAL_TESTS),
        Mutant("the image lacks a package", DOCKERFILE, "COPY runtime runtime\n", "", EQUAL_TESTS),
        Mutant(
            "the jars are not checked",
            DOCKERFILE,
            " \\\n    && cd /jars && sha256sum --check --strict --quiet /build/jars.sha256",
            "",
            EQUAL_TESTS,
        ),
        Mutant(
            "packages are installed without their hashes",
            DOCKERFILE,
            "--no-cache-dir --require-hashes --requirement",
            "--no-cache-dir --requirement",
            EQUAL_TESTS,
        ),
        Mutant(
            "the services' containers run as root",
            DOCKERFILE,
            "COPY infra/kafka/topics.json infra/kafka/topics.json\nUSER stack\n",
            "COPY infra/kafka/topics.json infra/kafka/topics.json\n",
            EQUAL_TESTS,
        ),
    ),
)
