"""What may stand in a request that is sent to Gradio.

Gradio downloads what a "file object" in any argument points to, and parses whatever nesting it
gets. The page and the API need neither files nor depth, so both are refused before Gradio sees
them, like everything else that Gradio would answer with a traceback.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass
from typing import Any

from app.errors import RefusedError
from hllm.schema.rules import check_depth

MAX_BODY_BYTES = 64 * 1024
MAX_DEPTH = 16
MAX_INT = 2**63
# Keys by which Gradio tells a file (path, with meta and _type) or an update from a plain value.
MARKS = frozenset({"path", "meta", "_type", "__type__"})
_SESSION = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True)
class Endpoint:
    """A function that the blocks call: the names of its values, and the defaults of the last."""

    names: tuple[str, ...]
    defaults: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Surface:
    """What of the blocks may be called.

    Attributes:
        endpoints: of programs, by name.
        events: all events of the blocks, those of the endpoints included, by number.
        components: numbers of the components.
        functions: names of the server functions of the page.
        catalogs: names that a question of the page may have as its catalogue.
    """

    endpoints: Mapping[str, Endpoint]
    events: Mapping[int, Endpoint]
    components: frozenset[int]
    functions: frozenset[str]
    catalogs: Collection[str] = ()

    def check_call(self, name: str, raw: bytes) -> bytes:
        """Check the body of gradio_api/call/NAME; values that are left out get their defaults.

        Raises:
            RefusedError: 4xx, the body is not a call of this endpoint.
        """
        endpoint = self.endpoints.get(name)
        if endpoint is None:
            known = ", ".join(sorted(self.endpoints))
            raise RefusedError(404, f"There is no endpoint of this name: there are {known}.")
        body = _parse(raw, required={"data"}, optional={"session_hash"})
        return _dump({**body, "data": _complete(endpoint, body["data"])})

    def check_join(self, raw: bytes) -> bytes:
        """Check the body of gradio_api/queue/join, by which the page and gradio_client call.

        Raises:
            RefusedError: 4xx, the body is not an event of the blocks.
        """
        body = _parse(
            raw,
            required={"data", "fn_index", "session_hash"},
            optional={"event_data", "trigger_id"},
        )
        endpoint = self.events.get(body["fn_index"]) if _is_int(body["fn_index"]) else None
        if endpoint is None:
            raise RefusedError(404, "fn_index must be the number of an event of this app.")
        trigger = body.get("trigger_id")
        if trigger is not None and not (_is_int(trigger) and trigger in self.components):
            raise RefusedError(404, "trigger_id must be the number of a component of this app.")
        return _dump({**body, "data": _complete(endpoint, body["data"])})

    def check_server(self, raw: bytes) -> bytes:
        """Check the body of gradio_api/component_server, by which the page browses.

        Raises:
            RefusedError: 4xx, the body is not a call of a server function.
        """
        body = _parse(raw, required={"data", "component_id", "fn_name", "session_hash"})
        component, name = body["component_id"], body["fn_name"]
        if not (_is_int(component) and component in self.components):
            raise RefusedError(404, "component_id must be the number of a component of this app.")
        if not (isinstance(name, str) and name in self.functions):
            known = ", ".join(sorted(self.functions))
            raise RefusedError(404, f"There is no function of this name: there are {known}.")
        question = body["data"]
        catalog = question.get("catalog") if isinstance(question, dict) else None
        if catalog is not None and not (isinstance(catalog, str) and catalog in self.catalogs):
            known = ", ".join(self.catalogs)
            raise RefusedError(404, f"There is no catalogue of this name: there are {known}.")
        return _dump(body)


def check_message(raw: bytes) -> bytes:
    """Check the body of an MCP call, of which Gradio sees nothing; its keys are MCP's concern.

    Raises:
        RefusedError: 400, it is no plain JSON object.
    """
    return _dump(_object(raw, dict))


def _parse(raw: bytes, required: Set[str], optional: Set[str] = frozenset()) -> dict[str, Any]:
    """The object in a body, with exactly these keys."""
    body = _object(raw, _plain)
    missing, unknown = sorted(required - body.keys()), body.keys() - required - optional
    if missing:
        raise RefusedError(400, f"The body must have the key {missing[0]!r}.")
    if unknown:
        allowed = ", ".join(sorted(required | optional))
        raise RefusedError(400, f"The body may have only the keys {allowed}.")
    session = body.get("session_hash")
    if session is not None and not (isinstance(session, str) and _SESSION.fullmatch(session)):
        raise RefusedError(400, "session_hash must be up to 64 letters and digits.")
    if session is None and "session_hash" in required:
        raise RefusedError(400, "session_hash must be up to 64 letters and digits.")
    return body


def _object(raw: bytes, make: Callable[[list[tuple[str, Any]]], dict[str, Any]]) -> dict[str, Any]:
    """The object in a body; `make` makes every object that is in it."""
    try:
        # Decoded here, so that Gradio reads nothing in UTF-16 otherwise than check_depth does.
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError(400, "The body must be JSON as UTF-8.") from error
    try:
        check_depth(text, MAX_DEPTH)
    except ValueError as error:
        raise RefusedError(400, f"The body must not be {error}.") from error
    try:
        body = json.loads(
            text,
            object_pairs_hook=make,
            parse_int=_small_int,
            parse_constant=_no_constant,
        )
    except ValueError as error:
        raise RefusedError(400, "The body must be JSON as UTF-8.") from error
    if not isinstance(body, dict):
        raise RefusedError(400, "The body must be a JSON object.")
    return body


def _complete(endpoint: Endpoint, values: Any) -> list[Any]:
    """The values of a call, with the defaults of those that were left out at the end."""
    names = endpoint.names
    fewest = len(names) - len(endpoint.defaults)
    if not isinstance(values, list) or not fewest <= len(values) <= len(names):
        count = f"{fewest} to {len(names)}" if endpoint.defaults else f"{len(names)}"
        raise RefusedError(400, f"data must be a list of {count} values: {', '.join(names)}.")
    return [*values, *endpoint.defaults[len(values) - fewest :]]


def _plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without the marks of Gradio; sees every key, also one that is there twice."""
    if any(key in MARKS for key, _ in pairs):
        raise RefusedError(400, "Files and addresses of files are not accepted, only plain values.")
    return dict(pairs)


def _small_int(digits: str) -> int:
    value = int(digits)
    if not -MAX_INT <= value < MAX_INT:
        raise RefusedError(400, "Whole numbers must fit 64 bits.")  # the answer could not hold it
    return value


def _no_constant(name: str) -> float:
    raise RefusedError(400, f"{name} is not JSON: give a number or null.")


def _is_int(value: Any) -> bool:
    return type(value) is int


def _dump(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()
