"""Every sentence and table that a training prints."""

from comparison import FOLDS, REPEATS, Outcome, Result
from datasets import Dataset
from evaluation import METRICS

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
    if len(sample.X) < rows:
        lines.append(f"Candidates are compared on {len(sample.X):,} rows drawn from them.")
    return "\n".join(lines)


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


def _row(result: Result) -> str:
    summary = result.summary()
    cells = (
        f"{summary[metric]['mean']:.3f} ± {summary[metric]['standard_error']:.3f}"
        for metric in METRICS
    )
    scores = "".join(f"{cell:>{_CELL_WIDTH}}" for cell in cells)
    milliseconds = [1000 * result.seconds(it) for it in ("fit_seconds", "predict_seconds")]
    return f"{result.name:<{_NAME_WIDTH}}{scores}{milliseconds[0]:>9.1f}{milliseconds[1]:>12.2f}"
