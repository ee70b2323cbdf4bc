"""What an endpoint asks of the one who calls it. One word per endpoint; the golden list in the tests shows them all."""

from enum import StrEnum


class Permission(StrEnum):
    """`public`: anyone who reaches the port. `read`: a person with a session or a program with an API token."""

    PUBLIC = "public"
    READ = "read"


def allows(permission: Permission, person: str | None) -> bool:
    """Whether this person (None: nobody we know) may; the single place that decides."""
    return permission is Permission.PUBLIC or person is not None
