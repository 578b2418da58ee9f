"""Converter between SourceBundle zips and `.srcpack` files.

report = srcpack_convert.convert("app.zip", "app.srcpack")
srcpack_convert.export("app.srcpack", "again.zip")
for report in srcpack_convert.convert_many(["bundles"], "packs"):
    print(report.status, report.source)
"""

from srcpack.source_bundle import Limits

from .batch import BatchProgress, convert_many
from .cluster import Cluster, ClusterError
from .conversion import convert
from .exporting import ExportReport, export
from .inputs import Inputs
from .report import BatchReport, ConversionReport, FailureReport, PlanReport, SkipReport

__all__ = [
    "BatchProgress",
    "BatchReport",
    "Cluster",
    "ClusterError",
    "ConversionReport",
    "ExportReport",
    "FailureReport",
    "Inputs",
    "Limits",
    "PlanReport",
    "SkipReport",
    "convert",
    "convert_many",
    "export",
]
