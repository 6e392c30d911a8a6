"""The program of a model's process: it opens one pickle, and answers what it is asked."""

import socket
from collections.abc import Callable

from engines.engine import NotCompiled
from errors import ModelFailed, ModelRefused
from schemas import Description
from worker.assembly import assemble
from worker.compiling.compilation import compile_model
from worker.estimator import Estimator
from worker.exchange import Message, pack, receive, send, unpack
from worker.failures import write_failure
from worker.rows import read_rows
from worker.tables.answering import answer_part, answer_table, join, look, rehearse


def serve(channel: socket.socket, held: list[str]) -> None:
    """Until the server has gone; `held` says which of the limits hold."""
    send(channel, pack({"held": held}))
    model = _open(channel)
    while model is not None:
        message = unpack(receive(channel))
        if talk := _TALKS.get(message.head["ask"]):
            talk(channel, model, message)
        else:
            send(channel, _ANSWERS[message.head["ask"]](model, message))


def _open(channel: socket.socket) -> Estimator | None:
    """None if the model is refused, which is the answer then."""
    head, arrays = unpack(receive(channel))
    known = Description.model_validate(head["manifest"]) if head["manifest"] else None
    try:
        pickled = arrays["pickle"].tobytes()
        model, remarks = assemble(pickled, head["file"], known, head["is_tried"])
    except ModelRefused as refusal:
        send(channel, pack({"reason": refusal.reason, "message": str(refusal)}))
        return None
    told = None if known else model.description.model_dump(mode="json")
    has = {"has_probabilities": model.has_probabilities, "description": told, "remarks": remarks}
    send(channel, pack(has))
    return model


def _answer(model: Estimator, message: Message) -> bytes:
    try:
        indices, probabilities = model.answer(read_rows(message))
    except MemoryError as error:
        return pack({"failure": write_failure(error)})
    except Exception as error:  # an estimator can raise anything, and is asked again all the same
        return pack({"failure": write_failure(ModelFailed(f"The model raised {error!r:.200}."))})
    arrays = {"indices": indices.astype("<i8")}
    if probabilities is not None:
        arrays["probabilities"] = probabilities.astype("<f8")
    return pack({}, arrays)


def _compile(model: Estimator, _: Message) -> bytes:
    try:
        return compile_model(model)
    except NotCompiled as reason:
        return pack({"not_compiled": str(reason)})
    except Exception as error:  # an estimator can raise anything, and is fit to serve all the same
        return pack({"not_compiled": f"It could not be compiled: {error!r:.200}."})


# These send more than one message, or none.
_TALKS: dict[str, Callable[[socket.socket, Estimator, Message], None]] = {
    "rehearse": rehearse,
    "table": answer_table,
    "look": look,
    "part": answer_part,
    "join": join,
}

_ANSWERS: dict[str, Callable[[Estimator, Message], bytes]] = {
    "answer": _answer,
    "compile": _compile,
}
