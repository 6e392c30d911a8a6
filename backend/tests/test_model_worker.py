import pytest
from conftest import MIXED
from mixed import INSTANCE

from worker.exchange import Message
from worker.media import Format, choose_format


@pytest.mark.parametrize("sent", Format)
def test_a_process_that_has_rehearsed_a_table_answers_the_next_one(load_model, sent):
    wanted = choose_format("", sent)
    process = load_model(**MIXED).worker.start_another()

    process.tell(Message({"ask": "rehearse", "sent": sent, "wanted": wanted}), 20)

    said = process.ask(Message({"ask": "answer", "rows": [list(INSTANCE.values())]}), 20)
    process.end()
    assert said.arrays["indices"].tolist() in ([0], [1])
