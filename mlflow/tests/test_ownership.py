import os
import subprocess
import sys

BECOME = """
import os, sys
from pathlib import Path
from ownership import become_owner
become_owner(Path(sys.argv[1]))
Path(sys.argv[1], "written").touch()
print(os.getuid(), os.getgid(), os.getgroups())
"""


def test_what_is_written_belongs_to_the_folders_owner(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    if os.geteuid() == 0:  # only root can give a folder away, and has something to give up
        os.chown(folder, 1234, 1235)
        for parent in (tmp_path, *tmp_path.parents[:3]):
            parent.chmod(0o755)
    owner = folder.stat()

    command = [sys.executable, "-c", BECOME, str(folder)]
    subprocess.run(command, check=True, capture_output=True)

    written = (folder / "written").stat()
    assert (written.st_uid, written.st_gid) == (owner.st_uid, owner.st_gid)
