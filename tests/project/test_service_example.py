"""The example of a service answers an event, also for many threads at once."""

import json
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.places import ROOT

pytest.importorskip("fastapi", reason="no fastapi: pip install 'srcpack[service]'")
uvicorn = pytest.importorskip("uvicorn", reason="no uvicorn: pip install 'srcpack[service]'")
pytest.importorskip("symbolic", reason="PyPI symbolic resolves what no table answers")

EVENT = json.loads((ROOT / "examples" / "event.json").read_text())


@pytest.fixture(scope="module")
def service() -> Any:
    from examples import service

    return service


def places(answer: dict[str, Any]) -> list[tuple[str, int, str]]:
    frames = answer["exception"]["values"][0]["stacktrace"]["frames"]
    return [(frame["filename"], frame["lineno"], frame["function"]) for frame in frames]


RESOLVED = [("../src/main.js", 8, "order"), ("../src/cart.js", 17, "Cart.add")]


@pytest.mark.parametrize("bundle", ["packs/app.srcpack", "bundles/app.zip"])
def test_an_event_is_resolved_in_any_thread(service: Any, bundle: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        for answer in threads.map(lambda _: service.resolve(EVENT, [bundle]), range(8)):
            assert places(answer) == RESOLVED
    assert service.statistics()["packs"]["open"] >= 1


def test_what_is_no_pack_and_no_event_is_refused(service: Any) -> None:
    def refused(event: dict[str, Any], bundle: str) -> int:
        with pytest.raises(service.HTTPException) as caught:
            service.resolve(event, [bundle])
        code: int = caught.value.status_code
        return code

    for bundle in ("absent.srcpack", "../pyproject.toml", "packs"):
        assert refused(EVENT, bundle) == 404
    assert refused(EVENT, "packs/app.json") == 422
    assert refused({"exception": {"values": 1}}, "packs/app.srcpack") == 422


def test_it_is_served_by_http(service: Any) -> None:
    server = uvicorn.Server(uvicorn.Config(service.app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/resolve?bundle=packs/app.srcpack",
            data=json.dumps(EVENT).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert places(json.load(answer)) == RESOLVED
    finally:
        server.should_exit = True
        thread.join()
