"""The headers of an event on its way: those of the Kafka record, and those that the bridge adds."""

# Written by Debezium's EventRouter from the outbox row's columns.
ID = "id"
TYPE = "type"
TRACEPARENT = "traceparent"
CREATED_AT = "created_at"

# Added by the bridge. The position of a partition is read back from these.
MESSAGE_ID = "Nats-Msg-Id"
KAFKA_TOPIC = "Kafka-Topic"
KAFKA_TOPIC_ID = "Kafka-Topic-Id"
KAFKA_PARTITION = "Kafka-Partition"
KAFKA_OFFSET = "Kafka-Offset"
PROBLEM = "Bridge-Problem"
"""Why the message has no content: the stream would have refused the record."""
