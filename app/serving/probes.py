"""What the operator of the app, or the machine that runs it, may ask: alive, ready, versions."""

import platform
from importlib.metadata import PackageNotFoundError, version

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.errors import CatalogError
from app.service import Service

PACKAGES = ("gradio", "uvicorn", "torch", "transformers", "onnxruntime", "faiss-cpu", "numpy")
_UNRECORDED = "What visitors do is not recorded: the app's log says why."
_NOW = {"Cache-Control": "no-store"}


def probe_routes(service: Service) -> list[Route]:
    """The routes /-/health, /-/ready and /-/versions."""

    async def health(_: Request) -> JSONResponse:
        # In the event loop, not in a thread: it says that the loop turns, and waits for no model.
        return JSONResponse({"status": "alive"}, headers=_NOW)

    def ready(_: Request) -> JSONResponse:
        problems = not_ready(service)
        if problems:
            return JSONResponse({"detail": _text(problems)}, 503, {**_NOW, "Retry-After": "5"})
        if not service.events.is_recording:  # which is no reason to send visitors away
            return JSONResponse({"status": "ready", "detail": _UNRECORDED}, headers=_NOW)
        return JSONResponse({"status": "ready"}, headers=_NOW)

    def versions(_: Request) -> JSONResponse:
        models = {
            name: column.info().model
            for name, column in zip(service.model_names, service.columns, strict=True)
        }
        return JSONResponse({**installed_versions(), "models": models}, headers=_NOW)

    return [
        Route("/-/health", health),
        Route("/-/ready", ready),
        Route("/-/versions", versions),
    ]


def not_ready(service: Service) -> list[str]:
    """Why the app cannot answer visitors in full, as sentences; empty if it can."""
    problems = [info.message for c in service.columns if (info := c.info()).state != "ready"]
    try:
        service.catalog.popular(1)
    except CatalogError as error:
        problems.append(str(error))
    return problems


def _text(sentences: list[str]) -> str:
    """Sentences one after the other, each with its end: some messages stand alone elsewhere."""
    return " ".join(s if s.endswith((".", "!", "?")) else f"{s}." for s in sentences)


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that answer; "" for one that is missing."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found
