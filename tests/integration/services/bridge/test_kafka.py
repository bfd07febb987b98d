"""Reading a real Kafka: what tests/behaviour/test_reading_kafka.py does not state."""

from services.bridge.kafka import KafkaRecords
from services.bridge.kafka_login import KafkaConfig
from services.bridge.translate import Record
from tests.engines import KafkaTopics


async def test_a_record_has_its_headers_its_topic_and_the_topics_id(topics: KafkaTopics, kafka: KafkaConfig) -> None:
    name = topics.create(partitions=1)
    topics.write(name, [(0, "event-0", b"0")])
    async with KafkaRecords(kafka) as records:
        [topic] = await records.describe([name])
        await records.start([topic], {})
        taken: list[Record] = []
        while not taken:
            taken = await records.take(1)
    headers = [("id", b"event-0"), ("type", b"OrderCreated"), ("traceparent", None)]
    assert taken == [Record(name, topic.id, 0, 0, b"0", headers)]
