"""Answers /feedback over HTTP as the backend does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from servers import running_app
from werkzeug import Request, Response

Json = dict[str, Any]


def entries(*labelled: tuple[Json, str]) -> list[Json]:
    """What /feedback tells of labelled inputs, oldest first."""
    return [
        {"prediction_id": f"{number:032x}", "inputs": inputs, "label": label}
        for number, (inputs, label) in enumerate(labelled)
    ]


@contextmanager
def running_journal(feedback: list[Json], name: str = "iris") -> Iterator[SimpleNamespace]:
    """Pages of the entries; `asked` are the requests that came in."""
    asked = []

    def answer(request: Request) -> Response:
        asked.append(request)
        query = request.args
        mine = feedback if query["name"] == name else []
        left = [it for it in mine if it["prediction_id"] > query.get("after", "")]
        limit = int(query["limit"])
        following = left[limit - 1]["prediction_id"] if len(left) > limit else None
        return Response(json.dumps({"feedback": left[:limit], "next": following}))

    with running_app(answer) as url:
        yield SimpleNamespace(url=url, asked=asked)
