"""`amity meter objects`: everything that a meter lists for one association, as a tree."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console

from amity.cli.association import Association, Ciphered
from amity.cli.channels import open_channel, place_of
from amity.cli.objects_report import lines, to_json
from amity.cli.options import hex_octets, password_octets
from amity.cli.reading import in_association
from amity.devices.doctor import Link
from amity.devices.object_tree import ObjectList, read_object_list
from amity.devices.profiles import Framing, SignOn
from amity.devices.settings import Authentication, Protection
from amity.runtime.system import SystemClock, random_octets


def objects(  # noqa: PLR0913, PLR0917 - an option each
    meter: Annotated[str, typer.Argument(metavar="HOST:PORT|/dev/tty…")],
    client: Annotated[int, typer.Option(help="Client address; each client is shown what it may do.")] = 16,
    server: Annotated[int, typer.Option(help="Server address (logical device).")] = 1,
    framing: Annotated[
        Framing | None, typer.Option(help="What carries the APDUs; without it hdlc on a serial line, else wrapper.")
    ] = None,
    physical: Annotated[int | None, typer.Option(help="Lower HDLC address (physical device).")] = None,
    baud: Annotated[int | None, typer.Option(help="Speed of the serial line.")] = None,
    sign_on: Annotated[SignOn, typer.Option(help="How the serial line becomes HDLC.")] = SignOn.NONE,
    auth: Annotated[Authentication, typer.Option(help="How the association is authenticated.")] = Authentication.NONE,
    password: Annotated[
        str | None, typer.Option(help="LLS password or HLS secret; 0x… for octets.", envvar="AMITY_PASSWORD")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Global unicast encryption key, hexadecimal.", envvar="AMITY_KEY")
    ] = None,
    auth_key: Annotated[
        str | None, typer.Option(help="Authentication key, hexadecimal.", envvar="AMITY_AUTH_KEY")
    ] = None,
    ciphering: Annotated[Ciphered, typer.Option(help="Wrapping of protected messages.")] = Ciphered.AUTO,
    suite: Annotated[int, typer.Option(min=0, max=2, help="Security suite: 0, 1 or 2 (AES-256).")] = 0,
    rights: Annotated[bool, typer.Option("--rights", help="Show attributes and methods of each object too.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait for each answer.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the objects of a meter you do not know: by medium and class, with names and access rights."""
    place = place_of(meter)
    carried = framing or (Framing.HDLC if place.serial else Framing.WRAPPER)
    link = Link(carried, client, server, physical, baud=baud, sign_on=sign_on)
    association = Association(
        auth=auth,
        password=password_octets(password),
        guek=hex_octets("--key", key),
        gak=hex_octets("--auth-key", auth_key),
        meter_title=b"",
        client_title=b"",
        ciphering=ciphering,
        protection=Protection.AUTHENTICATED_ENCRYPTED,
        suite=suite,
    )
    settings = association.settings(random_octets)
    ports = association.ports(random_octets, SystemClock(), None)

    async def listed() -> ObjectList:
        channel = await open_channel(place, link, timeout_s)
        try:
            return await in_association(channel, settings, ports, read_object_list, timeout_s=timeout_s)
        finally:
            await channel.close()

    found = asyncio.run(listed())
    if as_json:
        print(json.dumps(to_json(found), ensure_ascii=False, indent=2))
    else:
        Console(highlight=False, soft_wrap=True).print("\n".join(lines(found, with_rights=rights)))
