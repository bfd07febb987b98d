"""What the bridge relies on when it reads Kafka."""

import pytest
from confluent_kafka import KafkaException

from services.bridge.kafka import Topic as KafkaTopic
from services.bridge.kafka import TopicsChanged
from services.bridge.translate import Record
from tests.behaviour.parts import Topic
from tests.eventually import eventually_async


async def _take(topic: Topic, count: int) -> list[Record]:
    taken: list[Record] = []
    while len(taken) < count:
        taken += await topic.records.take(count - len(taken))
    return taken


def _positions(records: list[Record]) -> list[tuple[int, int, bytes]]:
    return sorted((record.partition, record.offset, record.value) for record in records)


async def test_each_partition_is_read_in_order_from_the_given_offset_or_from_its_first_record(topic: Topic) -> None:
    for number in range(6):
        topic.write(number % 2, str(number))
    described = await topic.records.describe([topic.name])
    await topic.records.start(described, {(topic.name, 1): 1})
    records = await _take(topic, 5)
    assert _positions(records) == [(0, 0, b"0"), (0, 1, b"2"), (0, 2, b"4"), (1, 1, b"3"), (1, 2, b"5")]
    assert [r.offset for r in records if r.partition == 0] == [0, 1, 2]
    assert {(record.topic, record.topic_id) for record in records} == {(topic.name, described[0].id)}


async def test_a_partition_is_read_from_its_first_record_when_its_offset_does_not_exist(topic: Topic) -> None:
    topic.write(0, "a")
    await topic.records.start(await topic.records.describe([topic.name]), {(topic.name, 0): 7})
    assert _positions(await _take(topic, 1)) == [(0, 0, b"a")]


async def test_a_record_that_is_written_later_is_taken(topic: Topic) -> None:
    await topic.records.start(await topic.records.describe([topic.name]), {})
    topic.write(1, "late")
    assert _positions(await _take(topic, 1)) == [(1, 0, b"late")]


async def test_a_recreated_topic_has_another_id_and_begins_at_offset_zero(topic: Topic) -> None:
    topic.write(0, "old")
    [before] = await topic.records.describe([topic.name])
    topic.recreate()

    async def check() -> KafkaTopic:
        try:
            [after] = await topic.records.describe([topic.name])
        except KafkaException as error:
            raise AssertionError("not there yet") from error
        assert after.id != before.id
        return after

    after = await eventually_async(check)
    topic.write(0, "new")
    await topic.records.start([after], {})
    assert _positions(await _take(topic, 1)) == [(0, 0, b"new")]


@pytest.mark.parametrize("taken", [0, 2], ids=["nothing taken", "something taken"])
async def test_records_of_a_recreated_topic_are_refused_when_offsets_decrease(topic: Topic, taken: int) -> None:
    for number in range(4):
        topic.write(0, str(number))
    await topic.records.start(await topic.records.describe([topic.name]), {(topic.name, 0): 4 - taken})
    await _take(topic, taken)
    topic.recreate()
    topic.write(0, "new")
    with pytest.raises((TopicsChanged, KafkaException)):
        await _take(topic, 1)


async def test_a_topic_that_does_not_exist_cannot_be_described(topic: Topic) -> None:
    with pytest.raises(KafkaException):
        await topic.records.describe(["events.nothing"])
