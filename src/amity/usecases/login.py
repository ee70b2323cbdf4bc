"""Who may come in: one-time links instead of passwords, sessions of half a day, API tokens for programs."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from amity.kernel.errors import AccessError
from amity.security.tokens import hash_of, new_secret
from amity.usecases.services import Services

LINK_LIFETIME = timedelta(minutes=15)
SESSION_LIFETIME = timedelta(hours=12)
API_TOKEN_LIFETIME = timedelta(days=30)


@dataclass(frozen=True, slots=True, repr=False)
class Admission:
    """A secret that was just made for a person; it exists only here, the store keeps its hash. Never printed."""

    secret: str
    person: str
    expires_at: datetime


def offer_link(services: Services, person: str) -> Admission:
    """Make the secret of a one-time login link for a person; it is good for 15 minutes and for one use."""
    admission = _admission(services, person, LINK_LIFETIME)
    services.logins.add_token(hash_of(admission.secret), person, admission.expires_at)
    return admission


def open_session(services: Services, link_secret: str) -> Admission:
    """Spend a one-time link for a session of 12 hours; raise AccessError when it is unknown, spent or too old."""
    return _session(services, _spend(services, link_secret), SESSION_LIFETIME)


def open_api_access(services: Services, link_secret: str) -> Admission:
    """Spend a one-time link for an API token of 30 days; raise AccessError when it is unknown, spent or too old."""
    return _session(services, _spend(services, link_secret), API_TOKEN_LIFETIME)


def person_of(services: Services, session_secret: str | None) -> str | None:
    """Whose session or API token this is; None when it is not one or no longer lives."""
    if not session_secret:
        return None
    return services.logins.session(hash_of(session_secret), services.clock.now())


def close_session(services: Services, session_secret: str | None) -> None:
    """End a session before its time; nothing happens when there is none."""
    if session_secret:
        services.logins.end_session(hash_of(session_secret))


def _admission(services: Services, person: str, lifetime: timedelta) -> Admission:
    return Admission(new_secret(services.random_octets), person, services.clock.now() + lifetime)


def _session(services: Services, person: str, lifetime: timedelta) -> Admission:
    admission = _admission(services, person, lifetime)
    services.logins.add_session(hash_of(admission.secret), person, admission.expires_at)
    return admission


def _spend(services: Services, link_secret: str) -> str:
    person = services.logins.use_token(hash_of(link_secret), services.clock.now())
    if person is None:
        raise AccessError(
            "this login link does not open anything any more",
            tried="to spend the one-time secret of the link",
            answer="it is unknown, was used already, or is older than 15 minutes",
            next_step="print a new link in the terminal that runs Amity and open that one",
        )
    return person
