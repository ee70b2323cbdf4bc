"""The private key as systemd hands it over (LoadCredential=)."""

from pathlib import Path

import pytest

from amity.kernel.errors import ConfigurationError
from amity.runtime.files.relay import relay_files
from amity.runtime.folder import Folder


def test_systemds_copy_goes_first_also_when_an_acl_shows_in_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = Folder(tmp_path / "state")
    folder.certificates.mkdir(parents=True)
    own = folder.certificates / "ami_service.key"
    own.touch(mode=0o644)
    with pytest.raises(ConfigurationError, match="can be read by others"):
        relay_files(folder)
    handed = tmp_path / "ami_service.key"
    handed.touch()
    handed.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert relay_files(folder).key == handed
