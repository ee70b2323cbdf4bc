"""What a collector or a head-end is told whose octets are no relay link."""

from amity.kernel.errors import RemoteProtocolError


class RelayError(RemoteProtocolError):
    """The octets are not those of a relay link, or more than was allowed; the connection is of no more use."""
