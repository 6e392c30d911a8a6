import pytest
from conftest import MIXED, publish_in
from mixed import INSTANCE

from serving.loading import open_model
from serving.manifests import Manifests
from settings import Settings
from worker.exchange import Message
from worker.media import Format
from worker.nursery import Nursery


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """A model with every type of feature."""
    folder = tmp_path_factory.mktemp("models")
    publish_in(folder, **MIXED)
    nursery = Nursery()
    settings = Settings(models_dir=folder)
    manifests = Manifests(settings)
    yield open_model(manifests.find()[0], manifests, settings, nursery).worker
    nursery.close()


@pytest.mark.parametrize("kind", Format)
def test_a_process_that_has_rehearsed_a_table_answers_the_next_one(worker, kind):
    process = worker.start_another()

    process.tell(Message({"ask": "rehearse", "sent": kind, "wanted": kind}), 20)

    said = process.ask(Message({"ask": "answer", "rows": [list(INSTANCE.values())]}), 20)
    process.end()
    assert said.arrays["indices"].tolist() in ([0], [1])
