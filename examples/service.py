"""A service that resolves events: one process, many threads, many packs.

    pip install -e '.[service]'
    uvicorn examples.service:app                        # serves the packs and bundles in fixtures/
    SRCPACK_FOLDER=/srv/packs uvicorn examples.service:app

    curl -s 'localhost:8000/resolve?bundle=packs/app.srcpack' --json @examples/event.json

An endpoint that is a plain function runs in a thread of its own: threads share the caches, without a lock.
Packs that were converted with --lookups answer by themselves; for others PyPI symbolic builds lookups.
"""

import os
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, HTTPException, Query

from srcpack import ContentCache, PackCache, PackSet, SrcpackError
from srcpack.resolve import resolve_event

FOLDER = Path(os.environ.get("SRCPACK_FOLDER", Path(__file__).parents[1] / "fixtures")).resolve()

app = FastAPI(title="srcpack example")
packs = PackCache(max_open=1000)
contents = ContentCache(256 << 20)


@app.post("/resolve")
def resolve(
    event: Annotated[dict[str, Any], Body()], bundle: Annotated[list[str], Query()]
) -> dict[str, Any]:
    """Return an event with its frames resolved by the packs named, which are paths below the folder."""
    opened = {}
    for name in bundle:
        path = (FOLDER / name).resolve()
        if not path.is_relative_to(FOLDER) or not path.is_file():
            raise HTTPException(404, f"no pack {name!r}")
        try:
            opened[name] = packs.get(path)
        except SrcpackError as error:
            raise HTTPException(422, str(error)) from error
    try:
        return resolve_event(event, PackSet.by_uri(opened, content_cache=contents))
    except SrcpackError as error:
        raise HTTPException(422, str(error)) from error


@app.get("/statistics")
def statistics() -> dict[str, Any]:
    """Return what the caches did and hold."""
    return {"packs": packs.statistics._asdict(), "contents": contents.statistics._asdict()}
