"""`amity pushes`: who called the head-end and was not believed, and which meters are on the line."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from amity.cli.jobs import AsJson, Configuration, Directory
from amity.cli.last_sign import calls_of, say_if_stopped
from amity.cli.options import LIMIT_MAX
from amity.runtime.installation import find_installation

pushes_app = typer.Typer(help="Who calls the head-end.", no_args_is_help=True)

_NEXT: Final = {
    "unknown-sender": "if you know it: amity meter add NAME …, with the keys that it pushes under; else block it:"
    " peers_allowed",
    "not-believed": "look where it came from: a replay, a wrong key, or somebody in between; for other keys of a known"
    " meter: amity meter add NAME … anew",
    "undecodable": "look what is behind that address; a meter speaks the wrapper, HDLC or says its name",
    "not-kept": "the disk did not take it: amity doctor; the meter sends it again, or is read",
}
_TOLD: Final = ("at", "taken", "parked", "senders", "turned_away", "dropped", "newest")


@pushes_app.command()
def parked(
    configuration: Configuration = None,
    directory: Directory = None,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="Of the newest, at most so many.")] = 20,
) -> None:
    """What came from senders that are not known or not believed: counted, the newest listed, nothing of it trusted."""
    document = _document(configuration, directory, as_json=as_json)
    if as_json:
        print(json.dumps({key: document[key] for key in _TOLD}))
        return
    print(f"as of {document['at']}: {document['taken']} pushes taken, {document['turned_away']} callers turned away,")
    print(f"{document['dropped']} datagrams dropped for want of room")
    for why, count in sorted(document["parked"].items()):
        print(f"{count} parked: {why}\n  next: {_NEXT.get(why, '')}")
    for sender, count in document["senders"].items():
        print(f"{count} of {sender}")
    for one in document["newest"][:limit]:
        print(f"{one['at']}  {one['from']}  {one['told']}")
        if one["next"]:
            print(f"  next: {one['next']}")
        if one["octets"]:
            print(f"  octets: {one['octets']}")


@pushes_app.command()
def lines(configuration: Configuration = None, directory: Directory = None, as_json: AsJson = False) -> None:
    """Meters that hold a connection open to this head-end, and whether they proved themselves on it yet."""
    document = _document(configuration, directory, as_json=as_json)
    if as_json:
        print(json.dumps(document["on_line"]))
        return
    for meter, proven in sorted(document["on_line"].items()):
        print(f"{meter}  {'proved itself' if proven else 'said its name; proves itself when it is read'}")
    print(f"{len(document['on_line'])} on the line as of {document['at']}")


def _document(configuration: Path | None, directory: Path | None, *, as_json: bool) -> dict[str, Any]:
    folder, _ = find_installation(configuration, directory)
    found = calls_of(folder)
    say_if_stopped(folder, as_json=as_json)
    return found
