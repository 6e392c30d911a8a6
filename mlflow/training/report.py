"""Every sentence and table that a training prints."""

from table.dataset import Dataset
from training.comparison import FOLDS, REPEATS, Outcome, Result
from training.evaluation import METRICS
from training.feedback import Addition
from training.folds import find_scarce, number_rows

_HEADS = ("log loss", "accuracy", "balanced", "F1 macro", "ROC AUC", "Brier")
_NAME_WIDTH = 32
_CELL_WIDTH = 14


def headline(dataset: Dataset, sample: Dataset) -> str:
    rows, features = dataset.X.shape
    classes = len(dataset.classes)
    lines = [
        *dataset.remarks,
        f"{dataset.name}: {rows:,} rows, {features} features, {classes} classes.",
        f"Comparing on {FOLDS} folds, repeated {REPEATS} times.",
    ]
    if scarce := find_scarce(sample, number_rows(sample.X), FOLDS):
        lines.append(
            f"Equal rows of {', '.join(scarce)} are trained and tested on: too few are different."
        )
    if len(sample.X) < rows:
        lines.append(f"Candidates are compared on {len(sample.X):,} rows drawn from them.")
    return "\n".join(lines)


def count_workers(workers: int, cores: int) -> str:
    return f"The cluster has {_count(workers, 'worker')} with {_count(cores, 'core')} in all."


def account(addition: Addition) -> str:
    """What became of the labelled predictions, in one line."""
    added, left_out = addition.dataset.feedback_rows, addition.left_out
    total = added + left_out.total()
    if not total:
        name = addition.dataset.name
        return f"Feedback: no prediction of {name} is labelled yet; training on the table alone."
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.most_common())
    labelled = f"Feedback: {_count(total, 'labelled prediction')}, {_count(added, 'row')} added"
    return f"{labelled} (left out: {reasons})." if reasons else f"{labelled}."


def tabulate(outcome: Outcome, candidates: list[Result], winner: Result) -> str:
    """Mean ± standard error of every metric by candidate, failures, and the choice."""
    heads = "".join(f"{head:>{_CELL_WIDTH}}" for head in _HEADS)
    lines = [f"{'':<{_NAME_WIDTH}}{heads}{'fit ms':>9}{'predict ms':>12}"]
    lines += [_row(result) for result in outcome.results]
    if outcome.failures:
        lines += ["", list_failures(outcome)]
    best = min(candidates, key=lambda result: result.mean("log_loss"))
    why = "the lowest log loss"
    if best is not winner:
        why = f"the simplest within one standard error of the lowest log loss, {best.name}'s"
    return "\n".join([*lines, "", f"Chosen {winner.name}: {why}."])


def list_failures(outcome: Outcome) -> str:
    lines = [f"{name} is left out: {it.reason}." for name, it in outcome.failures.items()]
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _row(result: Result) -> str:
    summary = result.summary()
    cells = (
        f"{summary[metric]['mean']:.3f} ± {summary[metric]['standard_error']:.3f}"
        for metric in METRICS
    )
    scores = "".join(f"{cell:>{_CELL_WIDTH}}" for cell in cells)
    milliseconds = [1000 * result.seconds(it) for it in ("fit_seconds", "predict_seconds")]
    return f"{result.name:<{_NAME_WIDTH}}{scores}{milliseconds[0]:>9.1f}{milliseconds[1]:>12.2f}"
