"""The errors that deskgate raises on purpose. Each says whose fault it is and names the field or place."""


class DeskgateError(Exception):
    """Base of every error that deskgate raises on purpose."""


class InvalidRequest(DeskgateError):
    """What a caller sent cannot be judged. `field` is the path of the field, `problem` says what is wrong with it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class InvalidRecord(DeskgateError):
    """An entitlement record breaks its own invariants, so nothing may be decided from it."""


class ConditionFailed(DeskgateError):
    """A `when:` expression could not be evaluated on this question."""
