import pytest
from journal_server import entries, running_journal
from servers import running_app
from werkzeug import Response

from training.labels import PAGE_ROWS, FeedbackUnavailable, read_labelled


def number(rows):
    return entries(*(({"x": float(row)}, "a") for row in range(rows)))


def read(server, key="", name="iris"):
    return list(read_labelled(server.url, key, name))


def test_all_pages_are_read_in_their_order():
    with running_journal(number(2 * PAGE_ROWS + 1)) as server:
        labelled = read(server)

    assert [it.inputs["x"] for it in labelled] == list(range(2 * PAGE_ROWS + 1))
    assert labelled[0].label == "a"
    assert [it.args.get("after") for it in server.asked] == [
        None,
        f"{PAGE_ROWS - 1:032x}",
        f"{2 * PAGE_ROWS - 1:032x}",
    ]


def test_only_what_the_models_of_the_name_predicted_is_asked_for():
    with running_journal(number(3), name="flowers & trees") as server:
        assert len(read(server, name="flowers & trees")) == 3
        assert read(server, name="iris") == []


def test_a_trailing_slash_of_the_address_does_no_harm():
    with running_journal(number(3)) as server:
        assert len(list(read_labelled(f"{server.url}/api/", "", "iris"))) == 3

    assert [it.path for it in server.asked] == ["/api/feedback"]


def test_no_proxy_of_the_environment_is_asked(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")

    with running_journal(number(3)) as server:
        assert len(read(server)) == 3


@pytest.mark.parametrize("key", ["a\nb", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_said_and_not_shown(key):
    with pytest.raises(FeedbackUnavailable) as refusal:
        list(read_labelled("http://127.0.0.1:9", key, "iris"))

    assert str(refusal.value) == "API_KEY cannot be sent. Use letters and digits."


def test_an_address_that_is_none_is_said():
    with pytest.raises(FeedbackUnavailable, match="Give it like http://localhost:8002"):
        list(read_labelled("backend", "", "iris"))


def require_refusal(said, *answer):
    response = Response(*answer)
    with running_app(lambda _: response) as url, pytest.raises(FeedbackUnavailable, match=said):
        list(read_labelled(url, "right", "iris"))


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, "", r"asks for a key\. Set API_KEY to one of those"),
        (404, '{"title": "Not Found"}', r"keeps no journal.*without JOURNAL=off"),
        (503, '{"detail": "The journal does not answer."}', "503: The journal does not answer."),
        (503, "<html>", "503. Try again later"),
    ],
)
def test_a_backend_in_trouble_is_said_as_it_says_it(status, body, said):
    require_refusal(said, body, status)


def test_an_answer_that_breaks_off_is_said():
    require_refusal("does not answer at", "5\r\nabc", 200, {"Transfer-Encoding": "chunked"})


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "[]",
        '{"feedback": []}',
        '{"feedback": null, "next": null}',
        '{"feedback": [{"inputs": {}}], "next": null}',
        '{"feedback": [{"inputs": [], "label": "a"}], "next": null}',
        '{"feedback": [{"inputs": {}, "label": 1}], "next": null}',
        '{"feedback": [], "next": 7}',
        '{"feedback": [], "next": ""}',
        '{"feedback": [], "next": "the same for ever"}',
    ],
)
def test_an_odd_answer_is_said(body):
    require_refusal("is no backend of this version", body)


def test_the_key_is_not_taken_elsewhere_by_a_redirection():
    with running_journal([]) as elsewhere:
        place = {"Location": f"{elsewhere.url}/feedback?name=iris"}
        require_refusal("answers 307", "", 307, place)

    assert elsewhere.asked == []
