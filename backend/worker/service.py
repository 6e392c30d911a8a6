"""The program of a model's process: it opens one pickle, and answers what it is asked."""

import socket
from collections.abc import Callable, Iterable

from engines.engine import NotCompiled
from errors import ModelFailed, ModelRefused, ModelServerError
from schemas import Description
from worker.assembly import assemble
from worker.compiling.compilation import compile_model
from worker.exchange import Message, receive, send
from worker.failures import write_failure
from worker.opened_model import OpenedModel
from worker.rows import read_question
from worker.tables.replies import answer_part, answer_table, join, look, preview, rehearse


def serve(channel: socket.socket, held: list[str]) -> None:
    """Until the server has gone; `held` says which of the limits hold."""
    send(channel, {"held": held})
    model = _open_model(channel)
    while model is not None:
        message = receive(channel)
        try:
            for reply in _REPLIES[message.head["ask"]](model, message, channel):
                send(channel, *reply)
        except (ModelServerError, MemoryError) as error:
            send(channel, {"failure": write_failure(error)})


def _open_model(channel: socket.socket) -> OpenedModel | None:
    """None if the model is refused, which is the answer then."""
    head, arrays = receive(channel)
    known = Description.model_validate(head["manifest"]) if head["manifest"] else None
    try:
        pickled = arrays["pickle"].tobytes()
        model, remarks = assemble(pickled, head, known)
    except ModelRefused as refusal:
        send(channel, {"reason": refusal.reason, "message": str(refusal)})
        return None
    told = None if known else model.description.model_dump(mode="json")
    has = {"has_probabilities": model.has_probabilities, "description": told, "remarks": remarks}
    send(channel, has)
    return model


def _answer(model: OpenedModel, message: Message, _: socket.socket) -> Iterable[Message]:
    try:
        indices, probabilities = model.answer(read_question(message))
    except MemoryError:
        raise
    except Exception as error:  # an estimator can raise anything, and is asked again all the same
        raise ModelFailed(f"The model raised {error!r:.200}.") from None
    arrays = {"indices": indices.astype("<i8")}
    if probabilities is not None:
        arrays["probabilities"] = probabilities.astype("<f8")
    return [Message({}, arrays)]


def _compile(model: OpenedModel, _: Message, __: socket.socket) -> Iterable[Message]:
    try:
        return [compile_model(model)]
    except NotCompiled as reason:
        return [Message({"not_compiled": str(reason)})]
    except Exception as error:  # an estimator can raise anything, and is fit to serve all the same
        return [Message({"not_compiled": f"It could not be compiled: {error!r:.200}."})]


# Messages in reply to one, which may be made as they are sent.
_REPLIES: dict[str, Callable[[OpenedModel, Message, socket.socket], Iterable[Message]]] = {
    "answer": _answer,
    "compile": _compile,
    "join": join,
    "look": look,
    "part": answer_part,
    "preview": preview,
    "rehearse": rehearse,
    "table": answer_table,
}
