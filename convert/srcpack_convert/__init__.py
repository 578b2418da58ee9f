"""Converter between SourceBundle zips and `.srcpack` files.

report = srcpack_convert.convert("app.zip", "app.srcpack")
srcpack_convert.export("app.srcpack", "again.zip")
for report in srcpack_convert.convert_many(["bundles"], "packs"):
    print(report.status, report.source)
"""

from srcpack.bundle.members import Limits
from srcpack_convert.back.export import ExportReport, export
from srcpack_convert.many.batch import convert_many
from srcpack_convert.many.cluster import Cluster, ClusterError
from srcpack_convert.many.inputs import Inputs
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
