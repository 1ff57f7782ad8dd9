"""Damaged files of a published model: `tag` and `serve` end with 2 and one line that names the file."""

import shutil
from pathlib import Path

import pytest

from tests.tiny_tagger import publish_tiny
from tofner import cli, storage

DAMAGES = {
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "cut": lambda data: data[: len(data) // 2],
    "flipped": lambda data: bytes([data[0] ^ 0x40]) + data[1:],
    "not UTF-8": lambda data: data[:40] + b"\xc1\xff\n" + data[43:],
    "deep": lambda data: b"[" * 200_000,
    "deeper": lambda data: b'{"model": ' * 200_000,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_tiny(tmp_path_factory.mktemp("good"))


def said(capfd: pytest.CaptureFixture[str], model: Path, command: str) -> str:
    words = [command, "--model", str(model), "--threads", "1"]
    if command == "tag":
        words += ["--input", str(model / "labels.json"), "--format", "text", "--output", str(model / "out"), "-q"]
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    out = capfd.readouterr()
    assert stop.value.code == 2, out
    assert out.out == ""
    assert out.err.count("\n") == 1, out.err
    return out.err


@pytest.mark.parametrize("command", ["tag", "serve"])
@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str, name: str, damage: str
) -> None:
    shutil.copytree(model, tmp_path / "model")
    path = tmp_path / "model" / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert str(path) in said(capfd, tmp_path / "model", command)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "labels.json"])
def test_a_stored_folder_is_compared_with_its_index(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """A bit in the weights changes tags and breaks nothing."""
    storage.store_folder(model, str(tmp_path / "stored"))
    path = tmp_path / "stored" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert f"{path}: found other contents" in said(capfd, tmp_path / "stored", "serve")
