"""Explains a model, in figures, by what it says of rows it has not been trained on."""

import io
import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.calibration import CalibrationDisplay
from sklearn.inspection import permutation_importance
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

from parallel.cores import run
from training.comparison import FOLDS, Result, Setting
from training.evaluation import Array, fit, negative_log_loss

SHUFFLES = 100  # columns shuffled a fold: each column once at least, ten times at most
MAX_ROWS = 1000  # of a fold, to shuffle columns in
MAX_CURVES = 10  # the most frequent classes; more lines cannot be told apart
MAX_BARS = 30
MAX_LABELLED_CELLS = 20  # classes up to which a confusion matrix shows its numbers


class Explanation(NamedTuple):
    """`labels` of shape (n,) with `probabilities` of shape (n, k), each row from the fold in which
    it was held out; `importances` of shape (folds, f), the log loss that shuffling a column adds.
    """

    classes: list[str]
    features: list[str]
    labels: npt.NDArray[np.object_]
    probabilities: Array
    importances: Array


class _FoldModel(NamedTuple):
    """The model of one fold, to be fitted again with the parameters found there."""

    result: Result
    fold: int

    @property
    def name(self) -> str:
        return self.result.name


class _Answers(NamedTuple):
    """What such a model says of the rows held out, and what shuffling a column adds."""

    probabilities: Array
    importances: Array


def explain(result: Result, setting: Setting) -> Explanation | None:
    """From the first repeat's folds; None if the model of one fails."""
    models, dataset = [_FoldModel(result, fold) for fold in range(FOLDS)], setting.dataset
    found = {model.fold: outcome for model, outcome in run(_explain_fold, models, setting)}
    by_fold = [found.get(fold) for fold in range(FOLDS)]
    answers = [said for said in by_fold if isinstance(said, _Answers)]
    if len(answers) < FOLDS:
        return None
    labels = [dataset.y.iloc[fold.test].to_numpy(dtype=object) for fold in setting.folds[:FOLDS]]
    return Explanation(
        classes=dataset.classes,
        features=list(dataset.X.columns),
        labels=np.concatenate(labels),
        probabilities=np.concatenate([said.probabilities for said in answers]),
        importances=np.array([said.importances for said in answers]),
    )


def _explain_fold(setting: Setting, model: _FoldModel) -> _Answers:
    fold, result = setting.folds[model.fold], model.result
    train, test = setting.dataset.take(fold.train), setting.dataset.take(fold.test)
    pipeline = fit(result.candidate, result.scores[model.fold].params, train)
    shuffled = permutation_importance(
        pipeline,
        test.X,
        test.y,
        scoring=negative_log_loss,
        n_repeats=int(np.clip(SHUFFLES // len(test.X.columns), 1, 10)),
        max_samples=min(MAX_ROWS, len(test.X)),
        random_state=setting.seed,
    )
    return _Answers(pipeline.predict_proba(test.X), shuffled.importances_mean)


def draw(
    results: list[Result], winner: Result, explanation: Explanation | None
) -> dict[str, bytes]:
    """PNG images by file name."""
    # Every core imports this module, and only what draws needs a second more.
    import matplotlib as mpl  # noqa: PLC0415

    # Names come from tables: no formulas, and letters that no font here may have.
    with mpl.rc_context({"text.parse_math": False}), warnings.catch_warnings(action="ignore"):
        drawn = {"comparison": _draw_comparison(results, winner)}
        if explanation:
            drawn |= {
                "confusion_matrix": _draw_confusion(explanation),
                "roc": _draw_roc(explanation),
                "calibration": _draw_calibration(explanation),
                "permutation_importance": _draw_importances(explanation),
            }
        return {f"{name}.png": _to_png(axes) for name, axes in drawn.items()}


def _make_axes(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # noqa: PLC0415  # as above

    return Figure(figsize=(width, height), layout="constrained").subplots()


def _to_png(axes: Any) -> bytes:
    image = io.BytesIO()
    axes.figure.savefig(image, format="png", dpi=100)
    return image.getvalue()


def _draw_comparison(results: list[Result], winner: Result) -> Any:
    summaries = [result.summary()["log_loss"] for result in results]
    losses = [summary["mean"] for summary in summaries]
    errors = [summary["standard_error"] for summary in summaries]
    axes = _draw_bars([result.name for result in results], losses, errors, height=0.35)
    axes.patches[results.index(winner)].set_facecolor("tab:orange")
    axes.set_xlabel("log loss, mean over the folds ± standard error; lower is better")
    axes.set_title(f"Chosen: {winner.name}")
    return axes


def _draw_bars(names: list[str], values: Any, errors: Any, height: float) -> Any:
    """The first name on top; the height is that of a bar, in inches."""
    axes = _make_axes(8, 1.2 + height * len(names))
    axes.barh(names, values, xerr=errors, capsize=3)
    axes.invert_yaxis()
    return axes


def _draw_confusion(explanation: Explanation) -> Any:
    classes = explanation.classes
    size = min(4 + 0.35 * len(classes), 20)
    axes = _make_axes(size, size)
    ConfusionMatrixDisplay.from_predictions(
        explanation.labels,
        np.array(classes)[explanation.probabilities.argmax(axis=1)],
        labels=classes,
        ax=axes,
        cmap="Blues",
        colorbar=False,
        include_values=len(classes) <= MAX_LABELLED_CELLS,
        xticks_rotation="vertical",
    )
    axes.set_title("Rows held out: true class and predicted one")
    return axes


def _draw_roc(explanation: Explanation) -> Any:
    axes = _draw_curves(explanation, RocCurveDisplay)
    axes.set_title("ROC, one class against the rest, of rows held out")
    axes.set(xlabel="False positive rate", ylabel="True positive rate")
    return axes


def _draw_calibration(explanation: Explanation) -> Any:
    axes = _draw_curves(explanation, CalibrationDisplay, strategy="quantile")
    axes.set_title("Calibration: what is said, and how often it comes true")
    axes.set(xlabel="Mean predicted probability", ylabel="Fraction of rows of the class")
    return axes


def _draw_curves(explanation: Explanation, display: Any, **options: Any) -> Any:
    axes = _make_axes(7, 6)
    for index, label in _list_curves(explanation):
        is_label = explanation.labels == label
        scores = explanation.probabilities[:, index].clip(0, 1)
        display.from_predictions(is_label, scores, ax=axes, name=label, pos_label=True, **options)
    return axes


def _draw_importances(explanation: Explanation) -> Any:
    means, errors = explanation.importances.mean(axis=0), explanation.importances.std(axis=0)
    order = means.argsort()[::-1][:MAX_BARS]
    names = [explanation.features[index] for index in order]
    axes = _draw_bars(names, means[order], errors[order], height=0.3)
    axes.set_xlabel("log loss added by shuffling the column; ± deviation over the folds")
    return axes


def _list_curves(explanation: Explanation) -> list[tuple[int, str]]:
    """Index and name of the classes to draw, one of them if there are two."""
    classes = list(enumerate(explanation.classes))
    if len(classes) == 2:  # noqa: PLR2004
        return classes[1:]
    counts = [(explanation.labels == label).sum() for label in explanation.classes]
    return sorted(sorted(classes, key=lambda place: -counts[place[0]])[:MAX_CURVES])
