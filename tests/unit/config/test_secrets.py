from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import pytest

from hxp_enterprise_llm.config.secrets import MAX_SECRET_BYTES, Secret, SecretError, read_secret


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.touch(mode=0o600)
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(SecretError) as caught:
        read_secret(str(path), "smtp-password", {})
    assert caught.value.file == str(path)
    return str(caught.value).removeprefix(f"{path}: ")


def test_a_secret_never_shows() -> None:
    secret = Secret("hunter2")
    shown = f"{secret} {secret!r} {secret!s:>9} {[secret]} {ValueError(secret)} %s" % secret
    assert "hunter2" not in shown
    assert str(secret) == "***"
    assert secret.reveal() == "hunter2"


def test_secrets_compare_by_text() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_a_secret_is_not_stored() -> None:
    with pytest.raises(TypeError, match="neither copied nor stored"):
        pickle.dumps(Secret("a"))
    with pytest.raises(TypeError, match="neither copied nor stored"):
        copy.deepcopy(Secret("a"))


@pytest.mark.parametrize(
    ("content", "text"), [(b"pw", "pw"), (b"pw\n", "pw"), (b"pw\r\n", "pw"), (b" pw \n\n", " pw \n")]
)
def test_one_line_end_is_dropped(file: Path, content: bytes, text: str) -> None:
    file.write_bytes(content)
    secret = read_secret(str(file), "smtp-password", {})
    assert secret is not None
    assert secret.reveal() == text


def test_a_credential_is_found_in_its_directory(tmp_path: Path) -> None:
    (tmp_path / "smtp-password").write_text("pw\n")
    (tmp_path / "smtp-password").chmod(0o400)
    secret = read_secret("", "smtp-password", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert secret == Secret("pw")


def test_the_file_wins_over_the_credential(file: Path, tmp_path: Path) -> None:
    file.write_text("from the file")
    (tmp_path / "smtp-password").write_text("from the credential")
    assert read_secret(str(file), "smtp-password", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == Secret("from the file")


def test_nothing_configured_is_none(tmp_path: Path) -> None:
    assert read_secret("", "smtp-password", {}) is None
    assert read_secret("", "smtp-password", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None


def test_a_configured_file_must_be_there(tmp_path: Path) -> None:
    advice = "create the file or correct the path"
    assert _refusal(tmp_path / "none") == f"the secret cannot be read: No such file or directory; {advice}"


def test_a_file_for_everybody_is_refused_with_the_command(file: Path) -> None:
    file.write_text("hunter2")
    file.chmod(0o644)
    assert _refusal(file) == f"every user may use the secret (mode 0644); run: chmod o-rwx {file}"


def test_the_group_may_read(file: Path) -> None:
    file.write_text("pw")
    file.chmod(0o640)
    assert read_secret(str(file), "smtp-password", {}) == Secret("pw")


def test_an_empty_file_is_refused(file: Path) -> None:
    file.write_text("\n")
    assert _refusal(file) == "the file with the secret is empty; write the secret into it"


def test_what_is_no_text_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    assert _refusal(file) == "the secret is not UTF-8 text; write it again"


def test_a_large_file_is_refused(file: Path) -> None:
    file.write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    assert _refusal(file) == "the secret is larger than 65536 bytes; name the right file"


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    advice = "correct the path in the configuration"
    assert _refusal(tmp_path / "pipe") == f"the secret must be in a regular file; {advice}"


def test_a_directory_is_refused(tmp_path: Path) -> None:
    advice = "create the file or correct the path"
    assert _refusal(tmp_path) == f"the secret cannot be read: Is a directory; {advice}"


def test_a_credential_that_cannot_be_used_is_no_missing_one(tmp_path: Path) -> None:
    (tmp_path / "smtp-password").mkdir()
    with pytest.raises(SecretError, match="Is a directory"):
        read_secret("", "smtp-password", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
