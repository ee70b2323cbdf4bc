"""What the command line lets somebody say of one meter: the link, the way to it, the secrets, the security."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from amity.cli.association import Association, Ciphered
from amity.cli.channels import Place, Way, gateway_of
from amity.cli.options import hex_octets, password_octets
from amity.devices.doctor import Link
from amity.devices.profiles import Framing, SignOn
from amity.devices.settings import SYSTEM_TITLE_OCTETS, Authentication, Protection
from amity.protocols.hdlc.parameters import INFORMATION_OCTETS_DEFAULT, WINDOW_DEFAULT

MeterArgument = Annotated[str, typer.Argument(metavar="HOST:PORT|/dev/tty…")]


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """Addresses and framing."""

    client: Annotated[int, typer.Option(help="Client address (wrapper port of the client).", min=1, max=0xFFFF)] = 16
    server: Annotated[int, typer.Option(help="Server address (logical device).", min=0, max=0xFFFF)] = 1
    framing: Annotated[
        Framing | None, typer.Option(help="What carries the APDUs; without it hdlc on a serial line, else wrapper.")
    ] = None
    physical: Annotated[int | None, typer.Option(help="Lower HDLC address (physical device).")] = None
    address_octets: Annotated[int, typer.Option(help="Width of the server's HDLC address; 0: the shortest.")] = 0
    baud: Annotated[int | None, typer.Option(help="Speed of the serial line.")] = None
    sign_on: Annotated[SignOn, typer.Option(help="How the serial line becomes HDLC.")] = SignOn.NONE

    def link(self, place: Place) -> Link:
        """The link they describe."""
        framing = self.framing or (Framing.HDLC if place.serial else Framing.WRAPPER)
        return Link(framing, self.client, self.server, self.physical, self.address_octets, self.baud, self.sign_on)


@dataclass(frozen=True, slots=True)
class WayOptions:
    """What else the way to a meter needs."""

    udp: Annotated[bool, typer.Option("--udp", help="The wrapper in UDP datagrams.")] = False
    hdlc_octets: Annotated[int, typer.Option(help="Information octets of an HDLC frame to ask for.")] = (
        INFORMATION_OCTETS_DEFAULT
    )
    hdlc_window: Annotated[int, typer.Option(help="HDLC frames in a row to ask for, 1 to 7.")] = WINDOW_DEFAULT
    device: Annotated[str, typer.Option(help="Device address for the sign-on, where meters share a line.")] = ""
    echo: Annotated[bool, typer.Option("--echo", help="The optical head gives back what is sent.")] = False
    parity_by_hand: Annotated[
        bool, typer.Option("--parity-by-hand", help="Sign on over a line that cannot be set to seven bits.")
    ] = False
    gateway: Annotated[str | None, typer.Option(help="NETWORK:ADDRESS (hex) of a meter behind a gateway.")] = None

    def way(self) -> Way:
        """The way they describe; raise ConfigurationError for a gateway that names no device."""
        gateway = gateway_of(self.gateway) if self.gateway else None
        return Way(self.udp, self.hdlc_octets, self.hdlc_window, self.echo, self.parity_by_hand, self.device, gateway)


@dataclass(frozen=True, slots=True)
class SecretOptions:
    """Secrets as they are typed, and what goes with them; they never show in a repr."""

    password: Annotated[
        str | None, typer.Option(help="LLS password or HLS secret; 0x… for octets.", envvar="AMITY_PASSWORD")
    ] = field(default=None, repr=False)
    key: Annotated[str | None, typer.Option(help="Global unicast encryption key, hexadecimal.", envvar="AMITY_KEY")] = (
        field(default=None, repr=False)
    )
    auth_key: Annotated[str | None, typer.Option(help="Authentication key, hexadecimal.", envvar="AMITY_AUTH_KEY")] = (
        field(default=None, repr=False)
    )
    signing_key: Annotated[
        str | None, typer.Option(help="Our private signing key, for hls-ecdsa.", envvar="AMITY_SIGNING_KEY")
    ] = field(default=None, repr=False)
    meter_signing_key: Annotated[
        str | None, typer.Option(help="The meter's public signing key (x and y), for hls-ecdsa.")
    ] = None
    system_title: Annotated[str | None, typer.Option(help="System title of the meter, or nothing: it says it.")] = None
    client_title: Annotated[
        str | None, typer.Option(help="Our own title, 8 octets in hexadecimal; random for each run without it.")
    ] = None
    counter: Annotated[
        int | None, typer.Option(help="First invocation counter; needed with --client-title.", min=0, max=0xFFFF_FFFF)
    ] = None
    allow_broken_digest: Annotated[
        bool, typer.Option("--allow-broken-digest", help="Read an old meter by hls-md5 or hls-sha1.")
    ] = False
    bare_acceptance: Annotated[
        bool,
        typer.Option(
            "--bare-acceptance", help="Take a ciphered association that is opened without saying what is granted."
        ),
    ] = False

    @property
    def server_title_octets(self) -> bytes:
        """The meter's title, empty where none was given; raise ConfigurationError when it is none."""
        return _title("--system-title", self.system_title)

    @property
    def client_title_octets(self) -> bytes:
        """Our title, empty where none was given; raise ConfigurationError when it is none."""
        return _title("--client-title", self.client_title)


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """How the association is opened, for who knows it."""

    auth: Annotated[Authentication, typer.Option(help="How the association is authenticated.")] = Authentication.NONE
    ciphering: Annotated[Ciphered, typer.Option(help="Wrapping of protected messages.")] = Ciphered.AUTO
    protection: Annotated[Protection, typer.Option(help="What a ciphered message is given.")] = (
        Protection.AUTHENTICATED_ENCRYPTED
    )
    suite: Annotated[int, typer.Option(min=0, max=2, help="Security suite: 0, 1 or 2 (AES-256).")] = 0
    dedicated_key: Annotated[bool, typer.Option("--dedicated-key", help="A key for this association alone.")] = False

    def association(self, secrets: SecretOptions) -> Association:
        """With the secrets; raise ConfigurationError for octets that are none."""
        return Association(
            auth=self.auth,
            password=password_octets(secrets.password),
            guek=hex_octets("--key", secrets.key),
            gak=hex_octets("--auth-key", secrets.auth_key),
            meter_title=secrets.server_title_octets,
            client_title=secrets.client_title_octets,
            ciphering=self.ciphering,
            protection=self.protection,
            counter=secrets.counter,
            suite=self.suite,
            dedicated_key=self.dedicated_key,
            broken_digests_allowed=secrets.allow_broken_digest,
            bare_acceptance=secrets.bare_acceptance,
            signing_key=hex_octets("--signing-key", secrets.signing_key),
            meter_signing_key=hex_octets("--meter-signing-key", secrets.meter_signing_key),
        )


def _title(option: str, text: str | None) -> bytes:
    return hex_octets(option, text, SYSTEM_TITLE_OCTETS if text else None)
