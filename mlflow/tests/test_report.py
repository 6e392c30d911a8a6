import io

from conftest import find_candidate

from training.comparison import Trial
from training.evaluation import Score
from training.report import Progress

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
