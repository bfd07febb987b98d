"""What can go wrong with a message, by what is to be done about it.

    MessagingError
    ├── Undecodable     no handler can ever read it          -> dead letter at once
    ├── NotYetVisible   speaks of a row that is not seen yet  -> retried; dead letter if it stays unknown
    ├── SubscriptionLost  the pull from the server broke     -> opened anew; messages are redelivered
    └── ConnectionGone  the client gave the connection up     -> the process ends, to be started again
    OutboxOutsideTransaction  a programming error: an event without the change that it tells of

A fault of the surroundings (a database is down) is not in this tree: each service names the driver's
errors that mean it (`transient`), and the consumer retries those for ever without counting.
Any other exception of a handler is its own fault: the message is tried a few times, then dead-lettered.
"""


class MessagingError(Exception):
    """Base of the errors about messages."""


class Undecodable(MessagingError):
    """The message has no readable envelope or payload."""


class NotYetVisible(MessagingError):
    """The message is about a row that this connection cannot see.

    Log tailing can hand out a commit an instant before other connections see it, so this is
    expected now and then; it is a fault only when it lasts.
    """


class SubscriptionLost(MessagingError):
    """The server no longer answers this pull subscription: it was restarted, wiped or cut off."""


class ConnectionGone(MessagingError):
    """The NATS client has closed its connection for good and will not reconnect."""


class OutboxOutsideTransaction(Exception):
    """An event was appended outside of the transaction that holds its cause."""
