"""Scores a table of any size with a published model: a file or a folder, in parts, on all cores."""

import argparse
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from errors import CommandFailed, ModelRefused, ModelServerError
from files.listing import list_files
from files.output import Outcome, Output
from files.pace import Pace
from files.pool import Pool
from files.sources import Part, Source, open_source
from files.warned import tell_warnings
from serving.inference import Model
from serving.loading import open_model
from serving.manifests import Manifests
from serving.repository import PublishedFile
from settings import Settings, read_settings
from worker.nursery import Nursery

SOME_ROWS_ARE_BAD = 3  # an exit code


class Share(NamedTuple):
    """Every N-th part, from the I-th."""

    first: int = 1
    every: int = 1

    def holds(self, part: Part) -> bool:
        return part.number % self.every == self.first - 1


class Scoring(NamedTuple):
    """A source, the processes that score it, and where the results go."""

    source: Source
    pool: Pool
    output: Output
    share: Share


def main() -> None:
    arguments = _parse_arguments()
    nursery = Nursery()
    try:
        sys.exit(_run(arguments, nursery))
    except (CommandFailed, ModelServerError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nStopped. The same command resumes it.")
    except OSError as error:
        sys.exit(f"{error}. Fix it, and the same command resumes.")
    finally:
        nursery.close()  # which ends what threads are waiting for


def _run(arguments: argparse.Namespace, nursery: Nursery) -> int:
    """Return the exit code; raises CommandFailed or OSError."""
    output = Output(arguments.output)
    files = list_files(arguments.input, _leave_out(arguments.input, output))
    output.require_usable()
    settings = read_settings()
    manifests = Manifests(settings)
    wanted = arguments.version or output.read_state().get("version")
    file = _find_model(manifests, settings.models_dir, wanted)
    _start_nursery(nursery)
    model = _load(file, manifests, settings, nursery)
    pool = Pool(model, settings.batch_seconds)
    source = open_source(files, model.description, output.ending, pool.look)
    scoring = Scoring(source, pool, output, arguments.part)
    known = model.description
    identity = {"version": known.version, "sha256": known.sha256, "files": source.identity}
    with output.begin(source.head["wanted"], identity, shared=arguments.part.every > 1) as done:
        said = f"Scoring {arguments.input} with model {file.version}."
        print(said, *source.tell(), sep="\n", flush=True)
        if done:
            return _account(done, output, "Scored already")
        return _score(scoring)


def _score(scoring: Scoring) -> int:
    output = scoring.output
    pace = Pace(scoring.source.size)
    outcomes: dict[str, Outcome | None] = {}
    try:
        for part, outcome in scoring.pool.score(_list_todo(scoring, pace, outcomes), output):
            outcomes[part.name] = outcome
            pace.report(part.size, outcome.rows, outcome.bad)
    finally:
        pace.clear()
    for file in scoring.source.files:
        file.require_same()
    said = f"Scored, {pace.rows_per_second:,.0f} rows a second"
    first, every = scoring.share
    if every > 1:
        own = [outcome for outcome in list(outcomes.values())[first - 1 :: every] if outcome]
        outcome = Outcome.sum("", own)
        good = outcome.rows - outcome.bad
        print(f"{said}: {good:,} of {outcome.rows:,} rows of part {first}/{every}.", flush=True)
        _warn(outcome)
        said = "Joined"
    return _join_parts(scoring, outcomes, said)


def _list_todo(scoring: Scoring, pace: Pace, outcomes: dict[str, Outcome | None]) -> Iterator[Part]:
    """The parts of the share that are not done yet; adds all parts to the outcomes, in order."""
    for part in scoring.source.list_parts():
        outcomes[part.name] = scoring.output.find_outcome(part.name)
        if outcomes[part.name] or not scoring.share.holds(part):
            pace.skip(part.size)
        else:
            yield part


def _join_parts(scoring: Scoring, outcomes: Mapping[str, Outcome | None], said: str) -> int:
    """Join all parts if none is missing; the last share to be done finds them all."""
    output = scoring.output
    with output.alone():
        if output.resume():  # another share has just joined them
            return 0
        found = {name: known or output.find_outcome(name) for name, known in outcomes.items()}
        done = {name: outcome for name, outcome in found.items() if outcome}
        if len(done) < len(found):
            return 0
        return _account(output.finish(done, scoring.pool.join), output, said)


def _account(outcome: Outcome, output: Output, said: str) -> int:
    good = outcome.rows - outcome.bad
    print(f"{said}: {good:,} of {outcome.rows:,} rows are in {output.path}.")
    _warn(outcome)
    if not outcome.bad:
        return 0
    bad = "1 bad row is" if outcome.bad == 1 else f"{outcome.bad:,} bad rows are"
    print(f"{bad} not, and {output.bad} says why.")
    return SOME_ROWS_ARE_BAD


def _warn(outcome: Outcome) -> None:
    if said := tell_warnings(outcome.warnings):
        print(said, flush=True)


def _find_model(manifests: Manifests, folder: Path, wanted: str | None) -> PublishedFile:
    """The wanted version, by default the newest; raises CommandFailed or FolderUnreadable."""
    files = manifests.find()
    found = [file for file in files if wanted in (None, file.version)]
    if found:
        return found[0]
    known = ", ".join(file.version for file in files[:5])
    if not known:
        raise CommandFailed(f"No model is published in {folder}. Train one first.")
    raise CommandFailed(f"There is no version {wanted} in {folder}. The newest are {known}.")


def _load(file: PublishedFile, manifests: Manifests, settings: Settings, nursery: Nursery) -> Model:
    """Raises CommandFailed if it does not verify."""
    advice = "Train or republish it, or name another by --version"
    try:
        if not file.manifest_path.exists():
            name = file.manifest_path.name
            raise ModelRefused("manifest", f"There is no {name}, and only verified models score.")
        model = open_model(file, manifests, settings, nursery)
    except ModelRefused as refusal:
        said = f"The model {file.version} is refused. {refusal}"
        raise CommandFailed(f"{said} {advice}.") from None
    for remark in model.remarks:
        print(remark, file=sys.stderr)
    return model


def _start_nursery(nursery: Nursery) -> None:
    """Import what takes seconds; Ctrl-C is for this process alone."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    nursery.start()
    signal.signal(signal.SIGINT, before)


def _leave_out(source: Path, output: Output) -> Path:
    """Return the folder of OUT, which may be in IN; raises CommandFailed if it is IN."""
    read, written = source.resolve(), output.path.resolve()
    folder = written.parent
    if folder == read and not output.ending:
        folder = written
    if read in (written, folder):
        raise CommandFailed(f"OUT is {source}, or a file in it. Name another OUT.")
    if read.is_dir() and folder.is_relative_to(read):
        files = sum(path.is_file() for path in folder.rglob("[!._]*"))
        if files:
            print(f"{folder} is left out with its {files:,} files, as OUT lies there.")
    return folder


def _parse_share(text: str) -> Share:
    first, _, every = text.partition("/")
    share = Share(int(first), int(every))
    if not 1 <= share.first <= share.every:
        raise ValueError(text)
    return share


def _parse_output(text: str) -> Path:
    path = Path(text).absolute()
    if path.suffix.lower() == ".xlsx":
        raise argparse.ArgumentTypeError("it can end in .csv or .parquet, and not in .xlsx")
    return path


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = "CSV, gzip of CSV, Parquet or .xlsx, or a folder of such files"
    parser.add_argument("input", metavar="IN", type=Path, help=kinds)
    parser.add_argument(
        "output",
        metavar="OUT",
        type=_parse_output,
        help="a file if it ends in .csv or .parquet, else a folder with a file for each part",
    )
    parser.add_argument("--version", help="of the model; by default the newest")
    parser.add_argument(
        "--part",
        metavar="I/N",
        type=_parse_share,
        default=Share(),
        help="score every N-th part, from the I-th; the last of N commands joins them",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
