"""The names of an event's headers: those of the Kafka record, and those that the bridge adds."""

# Written by Debezium's EventRouter from the outbox row's columns.
ID = "id"
TYPE = "type"
TRACEPARENT = "traceparent"
CREATED_AT = "created_at"

# Added by the bridge, which reads its position in each Kafka partition back from them.
MESSAGE_ID = "Nats-Msg-Id"
KAFKA_TOPIC = "Kafka-Topic"
KAFKA_TOPIC_ID = "Kafka-Topic-Id"
KAFKA_PARTITION = "Kafka-Partition"
KAFKA_OFFSET = "Kafka-Offset"
PROBLEM = "Bridge-Problem"
"""Why the bridge left out the payload or the headers of a record that is too large for the stream."""
