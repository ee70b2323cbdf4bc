"""`amity profile`: the device profiles there are, and what is wrong with one."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from amity.devices.profiles import Catalogue, DeviceProfile, mistakes_of
from amity.kernel.errors import ConfigurationError
from amity.runtime.files.profiles import ENDING, catalogue_of, text_of

profile_app = typer.Typer(help="Device profiles: how meter models differ, as files.", no_args_is_help=True)
_Folder = Annotated[Path | None, typer.Option("--profiles", help="A folder of your own profiles (*.toml).")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@profile_app.command("check")
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A profile; it may inherit from those beside it.")],
    as_json: _Json = False,
) -> None:
    """Say everything that is wrong with a profile file, line by line; exit status 2 when something is."""
    path = Path(file)
    if path.suffix != ENDING:
        raise ConfigurationError(
            f"{file} is no device profile by its name", next_step=f"profiles are files that end in {ENDING}"
        )
    text_of(path)
    mistakes = mistakes_of(path.stem, catalogue_of(path.parent))
    if as_json:
        print(json.dumps([mistake._asdict() for mistake in mistakes], ensure_ascii=False, indent=2))
    else:
        for mistake in mistakes:
            print(mistake)
        if not mistakes:
            print(_sentence(catalogue_of(path.parent).profile(path.stem)))
    if mistakes:
        raise typer.Exit(2)


@profile_app.command("list")
def show_list(profiles: _Folder = None, as_json: _Json = False) -> None:
    """Show the models that real meters may be, what each file rests on and which quirks it knows.

    A file of yours that cannot be used is named after the others; exit status 2 then.
    """
    known, spoilt = _usable(catalogue_of(profiles))
    if as_json:
        print(json.dumps(known, ensure_ascii=False, indent=2))
    else:
        _print_table(known)
    for error in spoilt:
        typer.echo(f"not usable: {error}", err=True)
    if spoilt:
        raise typer.Exit(2)


def _usable(catalogue: Catalogue) -> tuple[list[dict[str, Any]], list[ConfigurationError]]:
    known, spoilt = [], []
    for name in catalogue.names():
        try:
            known.append(_facts(catalogue.profile(name)))
        except ConfigurationError as error:
            spoilt.append(error)
    return known, spoilt


def _print_table(known: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("profile", "maker", "model", "basis", "quirks"):
        table.add_column(column, overflow="fold")
    for facts in known:
        table.add_row(facts["profile"], facts["maker"], facts["model"], facts["basis"], ", ".join(facts["quirks"]))
    Console(highlight=False).print(table)


@profile_app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A profile, by the name of its file.")],
    profiles: _Folder = None,
) -> None:
    """Print the file of a profile, to start one of your own from."""
    catalogue = catalogue_of(profiles)
    if not name.isidentifier():
        raise ConfigurationError(f"{name!r} is no name of a profile", next_step="amity profile list shows them")
    print(catalogue.text(name), end="")


def _facts(profile: DeviceProfile) -> dict[str, Any]:
    return {
        "profile": profile.key,
        "maker": profile.manufacturer,
        "flag": profile.flag,
        "model": profile.model,
        "basis": profile.basis.value,
        "quirks": [quirk.value for quirk in profile.quirks],
    }


def _sentence(profile: DeviceProfile) -> str:
    association = profile.association
    return (
        f"{profile.key}.toml: {profile.manufacturer} {profile.model}: client {association.client}"
        f" to server {association.server}, {association.authentication}, ciphering {association.ciphering};"
        f" load profile {profile.load_profile.obis} every {profile.load_profile.capture_period_s} s. Nothing is wrong."
    )
