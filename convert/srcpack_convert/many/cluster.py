"""A Dask cluster that exists already, as an executor whose workers may die."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

import srcpack
from srcpack.source.locations import without_secrets
from srcpack_convert.many.workers import WorkerDied

__all__ = ["Cluster", "ClusterError"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_COUNT_EVERY = 5.0


class ClusterError(BrokenExecutor):
    """The cluster cannot be reached, or cannot be used."""


class Cluster(Executor):
    """Calls functions on the workers of a Dask scheduler.

    Dask runs a call again that its worker did not survive, as often as the scheduler's configuration says.
    Here such a call fails with `WorkerDied`, and whoever submitted it decides; calls that had not begun on
    that worker are run by another one.

    Args:
        address: Of the scheduler, as `tcp://host:8786`.
        timeout: Seconds to wait for the scheduler, and then for a first worker.

    Raises:
        ModuleNotFoundError: dask.distributed is not installed.
        ClusterError: The scheduler does not answer, has no workers, or these have no srcpack of the
            version that is here.
    """

    def __init__(self, address: str, *, timeout: float = 10.0) -> None:
        try:
            from distributed import Client  # noqa: PLC0415  optional, and slow to import
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "a cluster needs dask.distributed, which is not installed: pip install 'srcpack[dask]'",
                name="distributed",
            ) from None
        self._address = without_secrets(address)  # as messages name it
        self._lock = threading.Lock()
        self._calls: dict[str, tuple[Future[Any], Any]] = {}
        self._slots = 1
        self._counted_at = -_COUNT_EVERY
        _check_scheduler(address, timeout)
        try:
            connect: Any = Client
            self._client = connect(address, timeout=timeout, set_as_default=False, name="srcpack")
        except (OSError, ValueError) as error:
            reason = _first_line(error).replace(address, self._address)
            raise ClusterError(f"{self._address}: the scheduler does not answer: {reason}") from error
        try:
            self._check_workers(timeout)
        except BaseException:
            self._client.close(timeout=5)
            raise

    def _check_workers(self, timeout: float) -> None:
        try:
            self._client.wait_for_workers(1, timeout=timeout)
            versions = self._client.run(_version, on_error="return")
        except OSError as error:  # TimeoutError too
            raise ClusterError(f"{self._address}: no worker joined in {timeout:g} s") from error
        for worker, found in versions.items():
            if isinstance(found, BaseException):
                raise ClusterError(f"worker {worker} cannot use srcpack: {_first_line(found)}")
            if found != srcpack.__version__:
                raise ClusterError(
                    f"worker {worker} has srcpack {found}, and here it is {srcpack.__version__}; "
                    "both have to be the same"
                )

    @property
    def slots(self) -> int:
        """How many calls the workers run at once, those that have come and gone counted every 5 seconds."""
        if time.monotonic() - self._counted_at >= _COUNT_EVERY:
            try:
                self._slots = max(1, sum(self._client.nthreads().values()))
            except OSError as error:
                raise self._lost() from error
            self._counted_at = time.monotonic()
        return self._slots

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Schedule a call.

        The future raises `WorkerDied` if the call's worker is gone, `ClusterError` if the scheduler is.

        Raises:
            ClusterError: The scheduler was gone before.
        """
        if self._client.status in ("closing", "closed"):
            raise self._lost()
        key = f"srcpack-{uuid4().hex}"
        future: Future[_T] = Future()
        call: Any = self._client.submit(_call_once, key, fn, args, kwargs, key=key, pure=False)
        with self._lock:
            self._calls[key] = (future, call)
        future.add_done_callback(lambda _: self._take(key))
        call.add_done_callback(self._on_done)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, which goes on; see `Executor.shutdown`."""
        with self._lock:
            futures = [future for future, _ in self._calls.values()]
        for future in futures:
            if cancel_futures:
                future.cancel()
            elif wait:
                future.exception()
        self._client.close(timeout=5)

    def _take(self, key: str) -> Future[Any] | None:
        """Take a call off the list and return its future; None if somebody was faster."""
        with self._lock:
            future, call = self._calls.pop(key, (None, None))
        if call is not None:
            call.release()  # Dask then forgets it, wherever it is
        return future if future is not None and future.set_running_or_notify_cancel() else None

    def _on_done(self, call: Any) -> None:
        outcome, error = None, None
        try:
            outcome = call.result()
        except Exception as raised:  # noqa: BLE001  whatever the call raised, and what Dask does
            error = self._translated(call.status, raised)
        future = self._take(call.key)
        if future is None:
            return
        if error is None:
            future.set_result(outcome)
        else:
            future.set_exception(error)

    def _translated(self, status: str, error: Exception) -> Exception:
        from distributed import KilledWorker  # noqa: PLC0415  see above

        if isinstance(error, KilledWorker):
            return WorkerDied(f"worker {error.last_worker.address} is gone")
        if isinstance(error, WorkerDied):
            return error
        if status == "error":
            return error if isinstance(error, BrokenExecutor) else ClusterError(_first_line(error))
        return self._lost()

    def _lost(self) -> ClusterError:
        return ClusterError(f"{self._address}: the connection to the scheduler is lost")


def _check_scheduler(address: str, timeout: float) -> None:
    """Ask who answers at an address: Dask's client waits for ever for one that is no scheduler.

    Raises:
        ClusterError: Nobody does in time, or somebody else.
    """
    import asyncio  # noqa: PLC0415  slow to import

    shown = without_secrets(address)
    with ThreadPoolExecutor(1) as threads:  # in this one a loop may be running
        try:
            found = threads.submit(asyncio.run, _identity(address, timeout)).result()
        except (OSError, TimeoutError, TypeError, ValueError) as error:
            reason = _first_line(error) if str(error) else f"no answer in {timeout:g} s"
            reason = reason.replace(address, shown)
            raise ClusterError(f"{shown}: the scheduler does not answer: {reason}") from error
        except Exception as error:
            raise ClusterError(f"{shown}: what answers is no Dask scheduler: {_first_line(error)}") from error
    if found != "Scheduler":
        raise ClusterError(f"{shown}: what answers is a {found}, no scheduler")


async def _identity(address: str, timeout: float) -> Any:  # noqa: ASYNC109  of all the steps together
    import asyncio  # noqa: PLC0415  slow to import

    import distributed  # noqa: PLC0415  see above

    dask: Any = distributed
    async with asyncio.timeout(timeout):
        arguments = dask.Security().get_connection_args("client")
        comm = await dask.comm.connect(address, timeout=timeout, **arguments)
        try:
            await comm.write({"op": "identity", "reply": True})
            return (await comm.read())["type"]
        finally:
            comm.abort()


def _call_once(key: str, fn: Callable[..., _T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> _T:
    """Make a call on a worker, unless one has begun it before: that worker is gone, perhaps by this call."""
    import distributed  # noqa: PLC0415  only workers need it

    event: Any = distributed.Event
    begun = event(key)
    if begun.is_set():
        begun.clear()
        raise WorkerDied("its worker is gone")
    begun.set()
    try:
        return fn(*args, **kwargs)
    finally:
        begun.clear()


def _version() -> str:
    return srcpack.__version__


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]
