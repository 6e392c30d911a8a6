import json

import pytest
from journal_server import FixedServer, JournalServer, entries, serving
from processes import find_free_port

from journal import PAGE_ROWS, FeedbackUnavailable, read_labelled


def number(rows):
    return entries(*(({"x": float(row)}, "a") for row in range(rows)))


def read(server, key="", name="iris"):
    return list(read_labelled(server.url, key, name))


def test_all_pages_are_read_in_their_order():
    with serving(JournalServer(number(2 * PAGE_ROWS + 1))) as server:
        labelled = read(server)

    assert [it.inputs["x"] for it in labelled] == list(range(2 * PAGE_ROWS + 1))
    assert labelled[0].label == "a"
    assert [query.get("after") for query in server.asked] == [
        None,
        f"{PAGE_ROWS - 1:032x}",
        f"{2 * PAGE_ROWS - 1:032x}",
    ]


def test_only_what_the_models_of_the_name_predicted_is_asked_for():
    with serving(JournalServer(number(3), name="flowers & trees")) as server:
        assert len(read(server, name="flowers & trees")) == 3
        assert read(server, name="iris") == []


def test_a_trailing_slash_of_the_address_does_no_harm():
    with serving(JournalServer(number(3))) as server:
        assert len(list(read_labelled(f"{server.url}/", "", "iris"))) == 3


def test_the_key_is_sent():
    with serving(JournalServer(number(3), keys="first,second")) as server:
        assert len(read(server, key="second")) == 3


@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_missing_or_wrong_key_is_said(key):
    with (
        serving(JournalServer(number(3), keys="right")) as server,
        pytest.raises(FeedbackUnavailable, match=r"asks for a key\. Set API_KEY to one of those"),
    ):
        read(server, key)


@pytest.mark.parametrize("key", ["a\nb", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_said_and_not_shown(key):
    with serving(JournalServer([])) as server, pytest.raises(FeedbackUnavailable) as refusal:
        read(server, key)

    assert str(refusal.value) == "API_KEY cannot be sent. Use letters and digits."


def test_a_backend_that_is_away_is_said():
    url = f"http://user:secret@127.0.0.1:{find_free_port()}"

    with pytest.raises(FeedbackUnavailable, match=r"does not answer at .* set BACKEND_URL") as away:
        list(read_labelled(url, "", "iris"))

    assert "secret" not in str(away.value)


def test_an_address_that_is_none_is_said():
    with pytest.raises(FeedbackUnavailable, match="Give it like http://localhost:8002"):
        list(read_labelled("backend", "", "iris"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, b'{"title": "Not Found"}'), r"keeps no journal.*without JOURNAL=off"),
        ((503, b'{"detail": "The journal does not answer."}'), "503: The journal does not answer."),
        ((503, b"<html>"), "503. Try again later"),
    ],
)
def test_a_backend_in_trouble_is_said_as_it_says_it(answer, said):
    server = FixedServer(*answer)
    with serving(server), pytest.raises(FeedbackUnavailable, match=said):
        read(server)


def test_an_answer_that_breaks_off_is_said():
    server = FixedServer(200, b"5\r\nabc", **{"Transfer-Encoding": "chunked"})
    with serving(server), pytest.raises(FeedbackUnavailable, match="does not answer at"):
        read(server)


@pytest.mark.parametrize(
    "said",
    [
        "<html>",
        [],
        {"feedback": []},
        {"feedback": None, "next": None},
        {"feedback": [{"inputs": {}}], "next": None},
        {"feedback": [{"inputs": [], "label": "a"}], "next": None},
        {"feedback": [{"inputs": {}, "label": 1}], "next": None},
        {"feedback": [], "next": 7},
        {"feedback": [], "next": ""},
        {"feedback": [], "next": "the same for ever"},
    ],
)
def test_an_odd_answer_is_said(said):
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()

    with (
        serving(FixedServer(200, body)) as server,
        pytest.raises(FeedbackUnavailable, match="is no backend of this version"),
    ):
        read(server)


def test_the_key_is_not_taken_elsewhere_by_a_redirection():
    with serving(JournalServer([])) as elsewhere:
        moved = FixedServer(307, b"", Location=f"{elsewhere.url}/feedback?name=iris")
        with serving(moved) as server, pytest.raises(FeedbackUnavailable, match="answers 307"):
            read(server, key="right")

    assert elsewhere.asked == []


def test_no_proxy_of_the_environment_is_asked(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{find_free_port()}")
    monkeypatch.setenv("NO_PROXY", "")

    with serving(JournalServer(number(3))) as server:
        assert len(read(server)) == 3
