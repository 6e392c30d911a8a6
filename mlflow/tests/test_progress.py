import io

from conftest import find_candidate

from training.comparison import Task
from training.evaluation import Score
from training.progress import Progress

SCORE = Score({}, {}, fit_seconds=3.0, predict_seconds=1.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def tasks():
    candidates = [find_candidate("Baseline"), find_candidate("GaussianNB")]
    return [Task(candidate, fold) for candidate in candidates for fold in range(3)]


def test_a_terminal_shows_a_bar_with_the_candidate_and_the_time_left():
    output, all_tasks = Terminal(), tasks()
    progress = Progress(all_tasks, cores=2, output=output)

    progress.report(all_tasks[0], SCORE)
    assert output.getvalue().endswith("1/6 Baseline")
    progress.report(all_tasks[3], SCORE)
    assert output.getvalue().endswith("2/6 GaussianNB, about 8 s left")
    assert "\n" not in output.getvalue()
    progress.clear()
    assert output.getvalue().endswith("\r\033[K")
