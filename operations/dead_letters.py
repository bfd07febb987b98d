"""Looking at dead letters, and sending them again."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from contracts.headers import MESSAGE_ID
from messaging.dead_letters import CONSUMER, ERROR, ORIGIN_IN_KAFKA, ORIGIN_SEQUENCE, ORIGIN_SUBJECT
from messaging.streams import DEAD_LETTERS, EVENTS, request, retry_subject

NOT_SENT_AGAIN = ("Dead-Letter-", "Kafka-", "Nats-")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that a consumer could not handle, as it stands in the stream DEAD_LETTERS."""

    sequence: int
    headers: Mapping[str, str]
    payload: bytes

    def __str__(self) -> str:
        origin = f"{self.headers.get(ORIGIN_SUBJECT)} sequence {self.headers.get(ORIGIN_SEQUENCE)}"
        if ORIGIN_IN_KAFKA in self.headers:
            origin += f" from {self.headers[ORIGIN_IN_KAFKA]}"
        return f"{self.sequence}  {self.headers.get(CONSUMER)}  {origin}  {self.headers.get(ERROR)}"


async def dead_letters(client: Client) -> AsyncIterator[DeadLetter]:
    """All of them, the oldest first."""
    state = (await request(client, f"STREAM.INFO.{DEAD_LETTERS}"))["state"]
    if state["messages"] == 0:
        return
    for sequence in range(state["first_seq"], state["last_seq"] + 1):
        try:
            message = await client.jetstream().get_msg(DEAD_LETTERS, sequence)
        except NotFoundError:
            continue  # sent again and deleted before
        yield DeadLetter(sequence, message.headers or {}, message.data or b"")


async def send_again(client: Client, letter: DeadLetter) -> None:
    """Hands the message to its consumer again, and deletes the dead letter.

    It goes to a subject of the consumer's own, without its position in Kafka: on the subject that it came from
    it would be taken for the bridge's last message there.

    Raises:
        nats.errors.Error: not sent, or not known to be; the dead letter stays.
    """
    headers = {name: value for name, value in letter.headers.items() if not name.startswith(NOT_SENT_AGAIN)}
    headers[MESSAGE_ID] = f"again:{letter.headers[MESSAGE_ID]}:{letter.sequence}"
    subject = retry_subject(letter.headers[CONSUMER])
    await client.jetstream().publish(subject, letter.payload, headers=headers, stream=EVENTS)
    await request(client, f"STREAM.MSG.DELETE.{DEAD_LETTERS}", {"seq": letter.sequence})
