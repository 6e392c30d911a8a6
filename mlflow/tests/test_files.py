import multiprocessing
import os

from files import become_owner

SPAWN = multiprocessing.get_context("spawn")


def write_as_owner(folder):
    become_owner(folder)
    (folder / "written").touch()


def test_what_is_written_belongs_to_the_folders_owner(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    if os.geteuid() == 0:  # only root can give a folder away, and has something to give up
        os.chown(folder, 1234, 1235)
        for parent in (tmp_path, *tmp_path.parents[:3]):
            parent.chmod(0o755)
    owner = folder.stat()

    writer = SPAWN.Process(target=write_as_owner, args=[folder])
    writer.start()
    writer.join()

    written = (folder / "written").stat()
    assert (written.st_uid, written.st_gid) == (owner.st_uid, owner.st_gid)
