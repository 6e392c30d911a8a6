"""Draws what MLflow shows of a training."""

import io
import warnings

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

from training.comparison import Result
from training.explanation import Explanation

MAX_CURVES = 10  # the most frequent classes; more lines cannot be told apart
MAX_BARS = 30
MAX_LABELLED_CELLS = 20  # classes up to which a confusion matrix shows its numbers


def draw(
    results: list[Result], winner: Result, explanation: Explanation | None
) -> dict[str, bytes]:
    """PNG images by file name."""
    # Names come from tables: no formulas, and letters that no font here may have.
    with mpl.rc_context({"text.parse_math": False}), warnings.catch_warnings(action="ignore"):
        figures = {"comparison": _draw_comparison(results, winner)}
        if explanation:
            figures |= {
                "confusion_matrix": _draw_confusion(explanation),
                "roc": _draw_roc(explanation),
                "calibration": _draw_calibration(explanation),
                "permutation_importance": _draw_importances(explanation),
            }
        return {f"{name}.png": _to_png(figure) for name, figure in figures.items()}


def _draw_comparison(results: list[Result], winner: Result) -> Figure:
    figure = Figure(figsize=(8, 1.2 + 0.35 * len(results)), layout="constrained")
    axes = figure.subplots()
    summaries = [result.summary()["log_loss"] for result in results]
    colors = ["tab:orange" if result is winner else "tab:blue" for result in results]
    axes.barh(
        [result.name for result in results],
        [it["mean"] for it in summaries],
        xerr=[it["standard_error"] for it in summaries],
        color=colors,
        capsize=3,
    )
    axes.invert_yaxis()
    axes.set_xlabel("log loss, mean over the folds ± standard error; lower is better")
    axes.set_title(f"Chosen: {winner.name}")
    return figure


def _draw_confusion(explanation: Explanation) -> Figure:
    size = min(4 + 0.35 * len(explanation.classes), 20)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    predicted = np.array(explanation.classes)[explanation.probabilities.argmax(axis=1)]
    ConfusionMatrixDisplay.from_predictions(
        explanation.labels,
        predicted,
        labels=explanation.classes,
        ax=axes,
        cmap="Blues",
        colorbar=False,
        include_values=len(explanation.classes) <= MAX_LABELLED_CELLS,
        xticks_rotation="vertical",
    )
    axes.set_title("Rows held out: true class and predicted one")
    return figure


def _draw_roc(explanation: Explanation) -> Figure:
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    for index, label in _list_curves(explanation):
        is_label = explanation.labels == label
        scores = explanation.probabilities[:, index]
        RocCurveDisplay.from_predictions(is_label, scores, ax=axes, name=label, pos_label=True)
    axes.set_title("ROC, one class against the rest, of rows held out")
    axes.set(xlabel="False positive rate", ylabel="True positive rate")
    return figure


def _draw_calibration(explanation: Explanation) -> Figure:
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    for index, label in _list_curves(explanation):
        is_label = explanation.labels == label
        scores = explanation.probabilities[:, index].clip(0, 1)
        CalibrationDisplay.from_predictions(
            is_label, scores, ax=axes, name=label, strategy="quantile", pos_label=True
        )
    axes.set_title("Calibration: what is said, and how often it comes true")
    axes.set(xlabel="Mean predicted probability", ylabel="Fraction of rows of the class")
    return figure


def _draw_importances(explanation: Explanation) -> Figure:
    means = explanation.importances.mean(axis=0)
    order = means.argsort()[::-1][:MAX_BARS]
    figure = Figure(figsize=(8, 1.2 + 0.3 * len(order)), layout="constrained")
    axes = figure.subplots()
    axes.barh(
        [explanation.features[index] for index in order],
        means[order],
        xerr=explanation.importances.std(axis=0)[order],
        capsize=3,
    )
    axes.invert_yaxis()
    axes.set_xlabel("log loss added by shuffling the column; ± deviation over the folds")
    return figure


def _list_curves(explanation: Explanation) -> list[tuple[int, str]]:
    """Index and name of the classes to draw, one of them where there are two."""
    classes = list(enumerate(explanation.classes))
    if len(classes) == 2:  # noqa: PLR2004
        return classes[1:]
    counts = {label: (explanation.labels == label).sum() for _, label in classes}
    return sorted(sorted(classes, key=lambda it: -counts[it[1]])[:MAX_CURVES])


def _to_png(figure: Figure) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=100)
    return image.getvalue()
