"""What the connection doctor found, for people and for programs, and the commands that work: to read, to add."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amity.cli.grouped import words_of
from amity.cli.meter_options import SecretOptions, WayOptions
from amity.cli.reading.answers import TOTAL_IMPORT
from amity.devices.doctor import CounterChoice, Finding, Link, Opened
from amity.devices.profiles import CLOCK_OBIS, Framing, SignOn
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.kernel.obis import Obis
from amity.runtime.fleet.authentication_level import word_for

_MATCHES_SHOWN = 3
_ANY_MODEL = "generic"


@dataclass(frozen=True, slots=True)
class Asked:
    """How the doctor was asked: the meter, the secrets and the way as typed; `shown` prints secrets in the command."""

    meter: str
    secrets: SecretOptions
    way: WayOptions
    profiles: Path | None = None
    shown: bool = False


def command(finding: Finding, asked: Asked) -> str | None:
    """The `amity read` command that opens what was opened; secrets as placeholders unless they are to be shown."""
    opened = finding.opened
    if opened is None:
        return None
    words = ["amity", "read", *_reaching(opened, asked)]
    if not _has_energy(opened):
        words += ["--obis", str(CLOCK_OBIS)]
    if finding.profile.key != _ANY_MODEL:
        words += ["--model", finding.profile.key]
        words += ["--profiles", str(asked.profiles)] if asked.profiles else []
    return _typed(words)


def listing_command(finding: Finding, asked: Asked) -> str | None:
    """The `amity meter objects` command that lists what the client that was opened is shown.

    None under a title of one's own: two commands with one `--counter` would use its numbers twice.
    """
    opened = finding.opened
    if opened is None or (opened.way.counts and asked.secrets.client_title):
        return None
    return _typed(["amity", "meter", "objects", *_reaching(opened, asked)])


def adding_command(finding: Finding, asked: Asked) -> str | None:
    """The `amity meter add` command that has the head-end speak to the meter as it was opened.

    None where that command has no words for it: a fleet document has.
    """
    opened = finding.opened
    if opened is None or not _can_be_added(opened, asked):
        return None
    way, link, facts = opened.way, opened.link, opened.facts
    level = word_for(way.authentication, way.ciphering, way.protection, way.suite)
    if level is None:
        return None
    over_tcp = link.framing is Framing.HDLC and not asked.meter.startswith("/dev/")
    words = ["amity", "meter", "add", facts.name or "METER", asked.meter, *(["--hdlc"] if over_tcp else [])]
    words += ["--client", str(link.client), "--server", str(link.server), *_of_the_line(link), "--level", level]
    words += ["--profile", finding.profile.key]
    if way.needs and facts.server_title:
        words += ["--system-title", facts.server_title.hex()]
    return _typed([*words, *_secrets(opened, asked)])


def _can_be_added(opened: Opened, asked: Asked) -> bool:
    legacy = opened.way.authentication.broken or opened.way.authentication is Authentication.HLS2
    plain = not words_of(asked.way) and not opened.link.address_octets
    return plain and not legacy and not opened.uses_signature


def _of_the_line(link: Link) -> list[str]:
    words = ["--physical", str(link.physical)] if link.physical is not None else []
    words += ["--baud", str(link.baud)] if link.baud is not None else []
    return words + (["--sign-on", link.sign_on.value] if link.sign_on is not SignOn.NONE else [])


def _typed(words: list[str]) -> str:
    """As a shell takes it, also where a secret is only named: unquoted, `<key>` would be a file to read from."""
    return " ".join(map(shlex.quote, words))


def _reaching(opened: Opened, asked: Asked) -> list[str]:
    return [asked.meter, *_addresses(opened.link), *words_of(asked.way), *_association(opened, asked)]


def _has_energy(opened: Opened) -> bool:
    """True when what `amity read` reads unless told otherwise is there; untold, that is likely behind a secret only."""
    if opened.facts.objects:
        return opened.facts.lists(Obis.parse(TOTAL_IMPORT))
    return opened.way.authentication is not Authentication.NONE


def _addresses(link: Link) -> list[str]:
    words = ["--client", str(link.client), "--server", str(link.server)]
    if link.framing is Framing.HDLC and link.baud is None:
        words += ["--framing", link.framing.value]
    if link.address_octets:
        words += ["--address-octets", str(link.address_octets)]
    return words + _of_the_line(link)


def _association(opened: Opened, asked: Asked) -> list[str]:
    way, typed = opened.way, asked.secrets
    words = ["--auth", way.authentication.value, *_secrets(opened, asked)]
    if way.authentication is not Authentication.NONE:  # said also where it is none: keys may be in the environment
        words += ["--ciphering", way.ciphering.value]
    if way.ciphering is not Ciphering.NONE and way.protection is not _USUAL_PROTECTION:
        words += ["--protection", way.protection.value]
    words += ["--suite", str(way.suite)] if way.suite else []
    if opened.uses_signature and typed.meter_signing_key:
        words += ["--meter-signing-key", typed.meter_signing_key]  # a public one
    words += ["--allow-broken-digest"] if way.authentication.broken else []
    words += ["--bare-acceptance"] if typed.bare_acceptance and way.ciphering is not Ciphering.NONE else []
    return words + (_titles(opened, typed) if way.needs else [])


def _secrets(opened: Opened, asked: Asked) -> list[str]:
    words = []
    for option, secret in _secrets_used(opened, asked.secrets):
        if secret is not None:
            words += [option, secret if asked.shown else f"<{option.removeprefix('--')}>"]
    return words


def _titles(opened: Opened, typed: SecretOptions) -> list[str]:
    words = ["--system-title", typed.system_title] if typed.system_title else []
    words += ["--client-title", typed.client_title] if typed.client_title else []
    counter = typed.counter if opened.next_counter is None else opened.next_counter
    return words if counter is None else [*words, "--counter", str(counter)]


_USUAL_PROTECTION = Protection.AUTHENTICATED_ENCRYPTED


def _secrets_used(opened: Opened, typed: SecretOptions) -> Iterator[tuple[str, str | None]]:
    """The secrets that the association needs, by their options."""
    if opened.uses_password:
        yield "--password", typed.password
    if opened.uses_keys:
        yield "--key", typed.key
        yield "--auth-key", typed.auth_key
    if opened.uses_signature:
        yield "--signing-key", typed.signing_key


# ------------------------------------------------------------------ for people
def lines(finding: Finding, asked: Asked) -> list[str]:
    """What was found, one fact a line, the command last."""
    opened, said = finding.opened, []
    said.append(f"found     {finding.link}")
    if opened is not None:
        said += _about(opened)
    said.append(f"profile   {_profile(finding)}")
    others = finding.matches[1:_MATCHES_SHOWN]
    said += [f"other     {match.profile.key}: {'; '.join(match.reasons)}" for match in others]
    said += [f"quirk     {quirk}: see docs/dlms/quirks/{quirk}.md" for quirk in finding.profile.quirks]
    said += [f"missing   {sentence}" for sentence in finding.advice]
    if (reading := command(finding, asked)) is not None:
        beside = filter(None, [adding_command(finding, asked), listing_command(finding, asked)])
        said += [*_of_secrets(reading), "", *beside, reading]
    return said


def _of_secrets(reading: str) -> list[str]:
    if "'<" not in reading:
        return []
    return ["secrets   put yours in place of '<…>' below; with --show-secrets the lines run as they are"]


def _about(opened: Opened) -> list[str]:
    facts = opened.facts
    said = [f"meter     {facts.name or 'does not say its name'}"]
    said += [f"serial    {facts.serial}"] if facts.serial else []
    said.append(f"opens     {opened.way}")
    if facts.suite is not None:
        title = facts.server_title.hex() or "untold"
        said.append(f"security  suite {facts.suite}, policy {facts.policy}, system title {title}")
    said += [f"counter   {obis} stood at {value}" for obis, value in facts.counters.items()]
    if opened.counter is not None:
        place = opened.counter.place or "no object"
        said.append(f"counted   from {opened.counter.first} on, by {place}: {opened.counter.why}")
    if opened.answers_release is False:
        said.append("release   is not answered: the connection is just closed")
    return said


def _profile(finding: Finding) -> str:
    reasons = "; ".join(finding.matches[0].reasons) if finding.matches else "nothing speaks for another"
    return f"{finding.profile.key} ({finding.profile.manufacturer} {finding.profile.model}): {reasons}"


# ------------------------------------------------------------------ for programs
def to_json(finding: Finding, asked: Asked, told: list[tuple[str, str]]) -> dict[str, Any]:
    """The whole finding as JSON values."""
    opened = finding.opened
    return {
        "tried": [{"what": what, "answer": answer} for what, answer in told],
        "framing": finding.link.framing.value,
        "client": finding.link.client,
        "server": finding.link.server,
        "physical": finding.link.physical,
        "address_octets": finding.link.address_octets,
        "baud": finding.link.baud,
        "sign_on": finding.link.sign_on.value,
        "association": None if opened is None else _opened_json(opened),
        "profile": finding.profile.key,
        "profiles": [{"profile": match.profile.key, "reasons": match.reasons} for match in finding.matches],
        "missing": list(finding.advice),
        "attempts": finding.attempts,
        "command": command(finding, asked),
        "add_command": adding_command(finding, asked),
        "objects_command": listing_command(finding, asked),
    }


def _opened_json(opened: Opened) -> dict[str, Any]:
    facts = opened.facts
    return {
        "auth": opened.way.authentication.value,
        "ciphering": opened.way.ciphering.value,
        "protection": opened.way.protection.value,
        "suite": opened.way.suite,
        "logical_device_name": facts.name,
        "serial": facts.serial,
        "system_title": facts.server_title.hex() or None,
        "security_policy": facts.policy,
        "invocation_counters": {str(obis): value for obis, value in facts.counters.items()},
        "first_counter": None if opened.counter is None else _counted_json(opened.counter),
        "next_counter": opened.next_counter,
        "max_pdu_octets": facts.max_pdu_octets,
        "objects": len(facts.objects),
        "answers_release": opened.answers_release,
    }


def _counted_json(counter: CounterChoice) -> dict[str, Any]:
    place = None if counter.place is None else str(counter.place)
    return {"counter": counter.first, "object": place, "why": counter.why}
