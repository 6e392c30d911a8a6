"""What is done of a scoring, and files of others in its place."""

import errno

import pytest

from errors import CommandFailed
from files.output import Outcome, Output
from worker.media import Format

WARNINGS = {"x": {"missing": 1}}
BAD = "file,row,column,reason\nin.csv,2,x,x must be a number.\n"


@pytest.fixture(params=["with hard links", "without"])
def output(request, tmp_path, monkeypatch):
    """A file that is to be written, on a file system that has hard links, or has none."""

    def fail(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "without":
        monkeypatch.setattr("files.output.os.link", fail)
    return Output(tmp_path / "out.csv")


def write_part(output, bad=1):
    """Its outcome, by its name."""
    (output.folder / "part-000000.csv").write_text("x\n1\n")
    outcome = Outcome("in.csv", 1 + bad, bad, WARNINGS)
    output.locate_bad("part-000000").write_text("2,x,x must be a number.\n" * bad)
    output.write_outcome("part-000000", outcome)
    return {"part-000000": outcome}


def require_results(output, outcome):
    assert outcome == Outcome(str(output.path), 2, 1, WARNINGS)
    assert output.path.read_text() == "x\n1\n"
    assert output.bad.read_text() == BAD
    assert set(output.path.parent.iterdir()) == {output.path, output.bad}


def test_both_files_are_there_at_the_end_and_nothing_else(output):
    with output.begin(Format.CSV, {}):
        outcome = output.finish(write_part(output), join=None)

    require_results(output, outcome)


@pytest.mark.parametrize("name", ["out.csv", "out.csv.bad.csv"])
def test_what_others_put_there_is_kept_until_they_take_it_away(output, tmp_path, name):
    with output.begin(Format.CSV, {}):
        (tmp_path / name).write_text("theirs")
        with pytest.raises(CommandFailed, match=f"{name} is there already. Remove it"):
            output.finish(write_part(output), join=None)
    with (
        pytest.raises(CommandFailed, match=f"{name} is there already"),
        output.begin(Format.CSV, {}),
    ):
        pass
    assert (tmp_path / name).read_text() == "theirs"
    (tmp_path / name).unlink()

    with output.begin(Format.CSV, {}) as outcome:
        pass

    require_results(output, outcome)


def test_without_bad_rows_a_list_of_others_is_kept(output):
    with output.begin(Format.CSV, {}):
        output.bad.write_text("theirs")
        output.finish(write_part(output, bad=0), join=None)

    assert output.bad.read_text() == "theirs"


@pytest.mark.parametrize("name", ["out.csv", "out.csv.bad.csv"])
def test_what_is_only_begun_has_written_no_file(output, tmp_path, name):
    with output.begin(Format.CSV, {}):
        pass
    (tmp_path / name).write_text("theirs")

    with (
        pytest.raises(CommandFailed, match=f"{name} is there already"),
        output.begin(Format.CSV, {}),
    ):
        pass


def test_a_link_to_nothing_at_out_is_kept(output):
    output.path.symlink_to("nowhere")

    with pytest.raises(CommandFailed, match="is there already"), output.begin(Format.CSV, {}):
        pass


def test_a_result_that_is_gone_is_made_anew(output):
    """The state is the last to be removed, and a kill may come before."""
    with output.begin(Format.CSV, {}):
        state = output.folder / "_job.json"
        output.finish(write_part(output), join=None)
    output.folder.mkdir()
    state.write_text('{"layout": 4, "format": ".csv", "done": {"path": "", "rows": 2, "bad": 1}}')
    output.path.unlink()

    with output.begin(Format.CSV, {}) as outcome:
        assert outcome is None
        assert "done" not in output.read_state()


def test_what_a_kill_left_half_written_is_written_anew(output):
    with output.begin(Format.CSV, {}):
        (output.folder / ".ready").write_text("half")
        (output.folder / ".ready-bad").write_text("half")
        output.finish(write_part(output, bad=0), join=None)

    assert output.path.read_text() == "x\n1\n"
    assert not output.bad.exists()


def test_whatever_is_left_in_its_folder_does_not_matter_at_the_end(output):
    with output.begin(Format.CSV, {}):
        outcomes = write_part(output)
        (output.folder / "left/behind").mkdir(parents=True)
        output.finish(outcomes, join=None)

    assert not output.folder.exists()
