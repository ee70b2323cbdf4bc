"""Laying an installation down twice changes nothing, and no edit of a person is ever lost."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from amity.headend.mapping import packaged_text
from amity.kernel.errors import ConfigurationError
from amity.runtime.install import material as material_module
from amity.runtime.install.carry_out import may_install, put_down, take_away
from amity.runtime.install.firewall import Firewall, firewall_lines
from amity.runtime.install.layout import Piece, Place, pieces
from amity.runtime.install.material import KeyKind, make_material, material
from amity.runtime.install.survey import Change, Verb, read_memory, survey

UNIT = "/etc/systemd/system/ami-collector.service"
CONFIG = "/etc/ami-gateway/dlms_config.yaml"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, Path("/opt/amity/bin/amity"))


def look(place: Place, wanted: tuple[Piece, ...] | None = None) -> dict[str, Change]:
    return {one.piece.path: one for one in survey(place, wanted or pieces(place), read_memory(place))}


def put(place: Place, wanted: tuple[Piece, ...] | None = None) -> None:
    put_down(place, list(look(place, wanted).values()))


def newer(place: Place, path: str) -> tuple[Piece, ...]:
    """The pieces of a later Amity, in which one text is another."""
    return tuple(replace(one, text=one.text + "# newer\n") if one.path == path else one for one in pieces(place))


def all_files(root: Path) -> dict[str, tuple[str, int, int]]:
    return {
        str(path): (path.read_text() if path.is_file() else "", path.stat().st_mode, path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
    }


def test_everything_of_the_page_is_there_with_its_mode(place: Place):
    put(place)
    modes = {
        CONFIG: 0o600, "/etc/ami-gateway/mapping.json": 0o600, "/etc/ami-gateway/schedules.toml": 0o600,
        "/etc/ami-gateway": 0o750,
        "/etc/ami-gateway/certs": 0o711, "/var/lib/ami-gateway": 0o700, "/var/log/ami": 0o750,
        UNIT: 0o644,
        "/etc/logrotate.d/ami-gateway": 0o644,
    }  # fmt: skip
    assert {path: place.at(path).stat().st_mode & 0o7777 for path in modes} == modes
    assert place.at("/etc/ami-gateway/mapping.json").read_text() == packaged_text()
    assert "ExecStart=/opt/amity/bin/amity serve --config /etc/ami-gateway\n" in place.at(UNIT).read_text()
    left = [path for path in place.root.rglob("*") if path.is_file() and "@user@" in path.read_text()]
    assert left == []


def test_a_second_run_touches_nothing(place: Place):
    put(place)
    before = all_files(place.root)
    assert {one.verb for one in look(place).values()} == {Verb.SAME}
    put(place)
    assert all_files(place.root) == before


def test_an_edit_stays_and_only_a_new_text_is_offered_beside_it(place: Place):
    put(place)
    path = place.at(CONFIG)
    path.write_text("client_address: 16\n")
    assert look(place)[CONFIG].verb is Verb.KEEP
    later = newer(place, CONFIG)
    offer = look(place, later)[CONFIG]
    assert offer.verb is Verb.OFFER
    assert any(line.startswith("-client_address: 16") for line in offer.difference)
    put(place, later)
    assert path.read_text() == "client_address: 16\n"
    assert path.with_name("dlms_config.yaml.new").read_text().endswith("# newer\n")
    assert path.with_name("dlms_config.yaml.new").stat().st_mode & 0o077 == 0
    assert look(place, later)[CONFIG].verb is Verb.KEEP


def test_what_nobody_edited_is_brought_up_to_date(place: Place):
    put(place)
    later = newer(place, UNIT)
    assert look(place, later)[UNIT].verb is Verb.UPDATE
    put(place, later)
    assert place.at(UNIT).read_text().endswith("# newer\n")


def test_without_its_memory_every_difference_counts_as_an_edit(place: Place):
    put(place)
    place.at("/etc/ami-gateway/.installed.json").write_text("torn")
    assert look(place, newer(place, UNIT))[UNIT].verb is Verb.OFFER


def test_what_is_open_to_others_is_named_with_its_command_and_left_so(place: Place):
    put(place)
    path = place.at(CONFIG)
    path.chmod(0o644)
    assert look(place)[CONFIG].mend == f"chmod 600 {path}"
    put(place)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_link_in_the_way_is_refused(place: Place, tmp_path: Path):
    place.at("/etc/ami-gateway").mkdir(parents=True)
    place.at(CONFIG).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="is a symbolic link") as caught:
        put(place)
    assert "cp --remove-destination" in (caught.value.next_step or "")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_in_the_place_of_a_folder_is_refused_with_the_command(place: Place):
    place.at("/var/log").mkdir(parents=True)
    place.at("/var/log/ami").touch()
    with pytest.raises(ConfigurationError, match="is no folder") as caught:
        put(place)
    assert (caught.value.next_step or "").startswith(f"mv {place.at('/var/log/ami')} ")


def test_systemd_does_not_close_a_key_that_stood_open_before_anybody_is_told(place: Place):
    (helper,) = (one for one in pieces(place) if one.path.startswith("/etc/tmpfiles.d/"))
    assert ".key" not in helper.text


def test_uninstalling_leaves_configuration_keys_data_logs_and_edits(place: Place):
    put(place)
    make_material(place, KeyKind.P_256, "gateway.example")
    (place.at("/var/lib/ami-gateway") / "ot.sqlite").write_text("counters")
    edited = place.at("/etc/logrotate.d/ami-gateway")
    edited.write_text("mine")
    removed, left = take_away(place)
    assert place.at(UNIT) in removed
    assert not place.at(UNIT).exists()
    assert {edited, place.at(CONFIG), place.at("/var/log/ami"), *material(place)} <= set(left)
    for path in (edited, place.at(CONFIG), material(place).key, place.at("/var/lib/ami-gateway/ot.sqlite")):
        assert path.exists()
    assert take_away(place)[0] == []
    put(place)
    assert place.at(UNIT).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_without_root_the_machine_itself_is_refused():
    with pytest.raises(ConfigurationError) as caught:
        may_install(Place())
    assert "sudo amity install; or amity install --root DIR" in (caught.value.next_step or "")


def test_who_is_not_root_is_told_sudo_or_root_option(monkeypatch: pytest.MonkeyPatch, place: Place):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigurationError, match="only root") as caught:
        may_install(Place())
    assert "--root DIR" in (caught.value.next_step or "")
    may_install(place)


# ------------------------------------------------------------------ key and request
@pytest.mark.parametrize(("kind", "type_of"), [(KeyKind.P_256, ec.EllipticCurvePrivateKey), (KeyKind.RSA_4096, None)])
def test_key_and_request_are_made_once_and_belong_together(
    place: Place, kind: KeyKind, type_of: type | None, monkeypatch: pytest.MonkeyPatch
):
    if kind is KeyKind.RSA_4096:  # the real size takes seconds
        small, type_of = rsa.generate_private_key(65_537, 2048), rsa.RSAPrivateKey
        asked: list[int] = []
        monkeypatch.setattr(
            material_module.rsa,
            "generate_private_key",
            lambda key_size, **_rest: asked.append(key_size) or small,
        )
    put(place)
    made = make_material(place, kind, "gateway.example")
    files = material(place)
    assert made == list(files)
    assert files.key.stat().st_mode & 0o777 == 0o600
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    request = x509.load_pem_x509_csr(files.request.read_bytes())
    assert type_of is not None
    assert isinstance(key, type_of)
    assert request.public_key() == key.public_key()
    assert request.is_signature_valid
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gateway.example"]
    before = all_files(place.certificates)
    assert make_material(place, kind, "other.example") == []
    assert all_files(place.certificates) == before
    if kind is KeyKind.RSA_4096:
        assert asked == [4096]


def test_a_key_that_was_imported_gets_a_request_of_its_own(place: Place):
    put(place)
    files = material(place)
    make_material(place, KeyKind.P_256, "a.example")
    key = files.key.read_bytes()
    files.request.unlink()
    assert make_material(place, KeyKind.P_256, "b.example") == [files.request]
    assert files.key.read_bytes() == key
    files.key.write_text("no key")
    files.request.unlink()
    with pytest.raises(ConfigurationError, match="no private key"):
        make_material(place, KeyKind.P_256, "c.example")


def test_a_request_without_its_key_is_not_paired_with_another(place: Place):
    put(place)
    material(place).request.write_text("signed for a key in an HSM")
    with pytest.raises(ConfigurationError, match="its key is not"):
        make_material(place, KeyKind.P_256, "a.example")


def test_openssl_reads_the_request(place: Place):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed; apt-get install openssl")
    put(place)
    make_material(place, KeyKind.P_256, "gateway.example")
    told = subprocess.run(  # noqa: S603 - a fixed command
        [openssl, "req", "-in", str(material(place).request), "-noout", "-verify", "-subject"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "CN" in told.stdout
    assert "gateway.example" in told.stdout


# ------------------------------------------------------------------ firewall
def test_firewalld_lines_name_each_network_and_each_door():
    lines = firewall_lines(Firewall.FIREWALLD, ["10.20.0.0/16", "2001:db8::/32"], 4059)
    assert (
        'firewall-cmd --permanent --add-rich-rule=\'rule family="ipv4" source address="10.20.0.0/16"'
        ' port port="4059" protocol="udp" accept\''
    ) in lines
    assert sum("2001:db8::/32" in line for line in lines) == 3
    assert lines[-1] == "firewall-cmd --reload"


def test_nftables_lines_drop_everybody_else():
    text = "\n".join(firewall_lines(Firewall.NFTABLES, ["10.20.0.0/16"], 4059))
    assert "elements = { 10.20.0.0/16 }" in text
    assert "tcp dport { 4059, 8883 } jump callers" in text
    assert text.index("ip saddr @peers4 accept") < text.index("counter drop")
