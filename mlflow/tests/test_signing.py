import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from processes import ROOT, wait_until

from publishing.signing import complete_pair, read_signing_key

COMMAND = [sys.executable, "-m", "publishing.signing"]  # from the trainer's folder
# A start during which something happens before a half is written.
DISTURBED = """
import os, signal, sys
from pathlib import Path
import files
from publishing import signing

write = files.flush

def disturbed(path, *arguments):
    {}
    write(path, *arguments)

files.flush = disturbed
signing.complete_pair(*map(Path, sys.argv[1:]))
"""
PAUSED = DISTURBED.format("print(flush=True), sys.stdin.read()")
KILLED = DISTURBED.format('path.parent.name == "public" and os.kill(os.getpid(), signal.SIGKILL)')


@pytest.fixture
def halves(tmp_path):
    for name in ("private", "public"):
        (tmp_path / name).mkdir()
    return tmp_path / "private/key.pem", tmp_path / "public/key.pem"


def fit(private, public):
    half = load_pem_public_key(public.read_bytes())
    return read_signing_key(private).public_key() == half


def test_make_keys_makes_a_pair_whose_private_half_is_for_its_owner_alone(halves):
    private, public = halves

    assert subprocess.run([*COMMAND, *halves]).returncode == 0

    assert private.stat().st_mode & 0o777 == 0o600
    assert fit(*halves)
    assert [*private.parent.iterdir(), *public.parent.iterdir()] == [private, public]


def test_make_keys_says_that_there_is_a_pair(halves):
    complete_pair(*halves)
    before = [it.read_bytes() for it in halves]

    again = subprocess.run([*COMMAND, *halves], capture_output=True, text=True)

    assert again.returncode == 1
    assert "are there already. Remove both to make a new pair" in again.stderr
    assert [it.read_bytes() for it in halves] == before


def is_waiting(process):
    """Whether it waits for a lock that another process has."""
    waiting = rf"-> FLOCK .* {process.pid} "
    return re.search(waiting, Path("/proc/locks").read_text())


def test_two_starts_at_once_make_one_pair(halves):
    pipes = {"cwd": ROOT / "mlflow", "stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    first = subprocess.Popen([sys.executable, "-c", PAUSED, *halves], **pipes)
    first.stdout.readline()
    second = subprocess.Popen([*COMMAND, *halves])
    wait_until(lambda: is_waiting(second) or second.poll() is not None)
    first.communicate()

    assert (first.wait(), second.wait()) == (0, 0)
    assert fit(*halves)


def test_a_start_that_is_killed_between_the_halves_is_completed_by_the_next(halves):
    private, public = halves
    command = [sys.executable, "-c", KILLED, *halves]
    subprocess.run(command, cwd=ROOT / "mlflow")
    before = private.read_bytes()
    assert not public.exists()

    complete_pair(*halves)

    assert private.read_bytes() == before
    assert fit(*halves)


def test_a_public_half_alone_gets_no_private_one_that_does_not_fit(halves):
    private, public = halves
    complete_pair(*halves)
    private.unlink()

    with pytest.raises(FileNotFoundError, match="Put that back, or remove the public half"):
        complete_pair(*halves)

    assert public.exists()
    assert not private.exists()


def test_halves_that_do_not_fit_are_said(halves, tmp_path):
    complete_pair(*halves)
    complete_pair(tmp_path / "other", tmp_path / "other_public")
    (tmp_path / "other_public").rename(halves[1])

    with pytest.raises(ValueError, match="is not its other half"):
        complete_pair(*halves)


def test_a_key_of_another_kind_is_refused(tmp_path):
    rsa = generate_private_key(65537, 2048)
    pem = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "private").write_bytes(pem)

    with pytest.raises(ValueError, match="no Ed25519 private key"):
        read_signing_key(tmp_path / "private")
