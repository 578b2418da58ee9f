"""Converter between SourceBundle zips and `.srcpack` files.

report = srcpack_convert.convert("app.zip", "app.srcpack")
srcpack_convert.export("app.srcpack", "again.zip")
for report in srcpack_convert.convert_many(["bundles"], "packs"):
    print(report.status, report.source)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from srcpack.bundle.members import Limits
    from srcpack_convert.back.export import ExportReport, export
    from srcpack_convert.inputs.bundles import Inputs
    from srcpack_convert.many.batch import convert_many
    from srcpack_convert.many.cluster import Cluster, ClusterError
    from srcpack_convert.many.progress import BatchProgress
    from srcpack_convert.many.reports import BatchReport, BatchStopped, FailureReport, PlanReport, SkipReport
    from srcpack_convert.one.convert import convert, convert_url
    from srcpack_convert.one.options import DictionaryChoice, Options
    from srcpack_convert.one.report import ConversionReport, DamageReport

__all__ = [
    "BatchProgress",
    "BatchReport",
    "BatchStopped",
    "Cluster",
    "ClusterError",
    "ConversionReport",
    "DamageReport",
    "DictionaryChoice",
    "ExportReport",
    "FailureReport",
    "Inputs",
    "Limits",
    "Options",
    "PlanReport",
    "SkipReport",
    "convert",
    "convert_many",
    "convert_url",
    "export",
]

_MODULES = {
    "BatchProgress": "srcpack_convert.many.progress",
    "BatchReport": "srcpack_convert.many.reports",
    "BatchStopped": "srcpack_convert.many.reports",
    "Cluster": "srcpack_convert.many.cluster",
    "ClusterError": "srcpack_convert.many.cluster",
    "ConversionReport": "srcpack_convert.one.report",
    "DamageReport": "srcpack_convert.one.report",
    "DictionaryChoice": "srcpack_convert.one.options",
    "ExportReport": "srcpack_convert.back.export",
    "FailureReport": "srcpack_convert.many.reports",
    "Inputs": "srcpack_convert.inputs.bundles",
    "Limits": "srcpack.bundle.members",
    "Options": "srcpack_convert.one.options",
    "PlanReport": "srcpack_convert.many.reports",
    "SkipReport": "srcpack_convert.many.reports",
    "convert": "srcpack_convert.one.convert",
    "convert_many": "srcpack_convert.many.batch",
    "convert_url": "srcpack_convert.one.convert",
    "export": "srcpack_convert.back.export",
}
"""The public names and their modules, imported when they are asked for: a process that builds lookup tables
needs none of them."""


if not TYPE_CHECKING:  # or type checkers would take any name

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
