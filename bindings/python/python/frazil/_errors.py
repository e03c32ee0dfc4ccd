"""What calls raise."""

from __future__ import annotations

from typing import ClassVar, Final


class Error(Exception):
    """A call was refused. Unless it is a `PanickedError`, it has changed nothing."""

    reason: ClassVar[str]
    """What kind of thing is wrong, in a word."""

    @property
    def message(self) -> str:
        """What is wrong, and with which value."""
        return str(self)


class ClosedError(Error):
    """The peer, the connection or the channel is closed, or about to be."""

    reason = "closed"


class PanickedError(Error):
    """The core has broken down, in this call or an earlier one.

    That is a fault of frazil's; the peer is of no use any more.
    """

    reason = "panicked"


class InvalidArgumentError(Error):
    """An argument cannot be: no IP address, a seed of the wrong length."""

    reason = "invalid-argument"


class InvalidStateError(Error):
    """The signalling state does not allow it (W3C `InvalidStateError`)."""

    reason = "invalid-state"


class InvalidDescriptionError(Error):
    """Something is wrong with the description."""

    reason = "invalid-description"


class InvalidCandidateError(Error):
    """Something is wrong with the candidate."""

    reason = "invalid-candidate"


class InvalidChannelError(Error):
    """The channel cannot be made."""

    reason = "invalid-channel"


class NotSentError(Error):
    """The message cannot be sent: it is too long, or the channel of a `Peer` is not open yet."""

    reason = "not-sent"


class OperatingSystemError(Error):
    """The operating system refuses what was asked of it."""

    reason = "system"


BY_REASON: Final[dict[str, type[Error]]] = {error.reason: error for error in Error.__subclasses__()}
"""The exception for each reason."""
