import io

from conftest import find_candidate

from training.comparison import Comparison, Result, Trial
from training.evaluation import METRICS, Score
from training.report import Progress, tabulate

SCORE = Score({}, {}, fit_seconds=3.0, predict_seconds=1.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_a_bar_with_the_candidate_and_the_time_left():
    output = Terminal()
    baseline, bayes = find_candidate("Baseline"), find_candidate("GaussianNB")
    progress = Progress([baseline, bayes], cores=2, output=output)

    progress.report(Trial(baseline, 0), SCORE)
    assert output.getvalue().endswith("1/20 Baseline")
    progress.report(Trial(bayes, 0), SCORE)
    assert output.getvalue().endswith("2/20 GaussianNB, about 36 s left")
    assert "\n" not in output.getvalue()
    progress.close()
    assert output.getvalue().endswith("\r\033[K")


def test_a_baseline_that_is_chosen_is_explained():
    score = Score(dict.fromkeys(METRICS, 0.5), {}, fit_seconds=3.0, predict_seconds=1.0)
    baseline, bayes = (
        Result(find_candidate(name), [score] * 2) for name in ("Baseline", "GaussianNB")
    )
    results = [baseline, bayes]

    assert tabulate(Comparison(results, {}), results, baseline).endswith(
        "Chosen Baseline: the lowest log loss.\n"
        "It gives every row the same answer, as no other candidate was better."
    )
    assert "same answer" not in tabulate(Comparison(results, {}), results, bayes)
