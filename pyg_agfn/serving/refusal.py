"""What the server says no to: one line, and the status of the response."""

from pyg_agfn.errors import InputError

#: Seconds after which a client that was sent away may try again.
RETRY_AFTER = 1


class RefusedError(InputError):
    """A request that is not answered.

    Args:
        status: The response's status.
        message: The line; it names what is wrong and the way out.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the response: when to come back, if it is the server's fault."""
        return {"Retry-After": str(RETRY_AFTER)} if self.status == 503 else {}
