"""What can go wrong with a question, by whose fault it is."""


class ClientError(Exception):
    """Base of all errors of this client. `code` is the name of the gRPC status, "" when there was none."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}" if code else detail)
        self.code = code
        self.detail = detail


class SidecarUnavailable(ClientError):
    """No answer in time: the sidecar is not there, not ready, overloaded or too slow. It says nothing of the matter."""


class InvalidQuestion(ClientError):
    """The sidecar cannot judge what was sent; `detail` names the field."""


class UnknownTenant(ClientError):
    """The store has no such tenant (a check is answered with the reason UNKNOWN_TENANT instead)."""


class IdempotencyConflict(ClientError):
    """The idempotency key was used before, with another content."""


class UsageRefused(ClientError):
    """The store will not take the statement: usage would fall below 0."""


class NotAllowed(ClientError):
    """The sidecar does not take this call from this caller."""


class SidecarFailed(ClientError):
    """The sidecar failed in a way it should not have."""
