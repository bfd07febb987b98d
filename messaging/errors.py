"""Errors about messages, and what a consumer does about each.

    MessagingError
    ├── Undecodable       no handler can read the message     -> dead letter at once
    ├── UnknownEventType  this version does not know the type -> retried: a newer instance may take it; then dead letter
    ├── NotYetVisible     its row is not visible yet          -> retried; dead letter if it stays invisible
    ├── SubscriptionLost  the pull subscription broke         -> opened again; the server redelivers
    └── ConnectionGone    the client closed its connection    -> the process ends and is started again

Transient errors (a database is down) are not in this tree. Each service lists the driver's errors that it retries
(ConsumerOptions.transient); those are retried without end and never count as an attempt.
Any other exception of a handler counts against its message: after some attempts it becomes a dead letter.
"""


class MessagingError(Exception):
    """Base of the errors about messages."""


class Undecodable(MessagingError):
    """The message has no readable envelope or payload."""


class UnknownEventType(MessagingError):
    """This version of the service does not know the event type.

    During a rolling deployment a newer instance may already have subscribed to it, through the same durable consumer.
    """


class NotYetVisible(MessagingError):
    """The message is about a row that this connection cannot see yet.

    Log tailing can deliver a commit shortly before other connections see it, so this happens now and then. It is a
    fault only if it lasts.
    """


class SubscriptionLost(MessagingError):
    """The server does not answer this pull subscription any more: it was restarted, wiped or cut off."""


class ConnectionGone(MessagingError):
    """The NATS client has closed its connection and will not reconnect."""
