"""Reads dead letters, and redelivers them to their consumers."""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from contracts.headers import MESSAGE_ID
from messaging.dead_letters import CONSUMER, ERROR, ORIGIN_IN_KAFKA, ORIGIN_SEQUENCE, ORIGIN_SUBJECT
from messaging.streams import DEAD_LETTERS, EVENTS, request, retry_subject
from operations.errors import UnknownDeadLetters

NOT_REDELIVERED = ("Dead-Letter-", "Kafka-", "Nats-")
"""Prefixes of the headers that belong to the dead letter or to its old position, not to the event."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that a consumer could not handle, as stored in the stream DEAD_LETTERS."""

    sequence: int
    headers: Mapping[str, str]
    payload: bytes

    def __str__(self) -> str:
        origin = f"{self.headers.get(ORIGIN_SUBJECT)} sequence {self.headers.get(ORIGIN_SEQUENCE)}"
        if ORIGIN_IN_KAFKA in self.headers:
            origin += f" from {self.headers[ORIGIN_IN_KAFKA]}"
        return f"{self.sequence}  {self.headers.get(CONSUMER)}  {origin}  {self.headers.get(ERROR)}"


async def dead_letters(client: Client, sequences: Collection[int] = ()) -> AsyncIterator[DeadLetter]:
    """The dead letters with these sequences, or all of them if none are given; the oldest first."""
    try:
        state = (await request(client, f"STREAM.INFO.{DEAD_LETTERS}"))["state"]
    except NotFoundError:
        return
    # A stream that never had a message says that its first sequence is 0.
    for sequence in sorted(sequences) or range(max(1, state["first_seq"]), state["last_seq"] + 1):
        try:
            message = await client.jetstream().get_msg(DEAD_LETTERS, sequence)
        except NotFoundError:
            continue  # redelivered, and deleted here
        yield DeadLetter(sequence, message.headers or {}, message.data or b"")


async def redeliver_all(client: Client, sequences: Collection[int]) -> AsyncIterator[DeadLetter]:
    """Redelivers the dead letters with these sequences, or all of them if none are given; yields each one.

    Raises:
        UnknownDeadLetters: some of the sequences do not exist. The others were redelivered.
    """
    unknown = set(sequences)
    async for letter in dead_letters(client, sequences):
        await redeliver(client, letter)
        unknown.discard(letter.sequence)
        yield letter
    if unknown:
        raise UnknownDeadLetters(unknown)


async def redeliver(client: Client, letter: DeadLetter) -> None:
    """Sends the message to its consumer again, and deletes the dead letter.

    It is published to the consumer's own retry subject, without its Kafka position: on its first subject the bridge
    would take that position for its own.

    Raises:
        nats.errors.Error: the message is not stored, or it is unknown whether it is. The dead letter stays.
    """
    headers = {name: value for name, value in letter.headers.items() if not name.startswith(NOT_REDELIVERED)}
    headers[MESSAGE_ID] = f"again:{letter.headers[MESSAGE_ID]}:{letter.sequence}"
    subject = retry_subject(letter.headers[CONSUMER])
    await client.jetstream().publish(subject, letter.payload, headers=headers, stream=EVENTS)
    await request(client, f"STREAM.MSG.DELETE.{DEAD_LETTERS}", {"seq": letter.sequence})
