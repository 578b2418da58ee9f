"""Converter between SourceBundle zips and `.srcpack` files.

report = sourcepack_convert.convert("app.zip", "app.srcpack")
sourcepack_convert.export("app.srcpack", "again.zip")
"""

from sourcepack.source_bundle import Limits

from .conversion import convert
from .exporting import ExportReport, export
from .report import ConversionReport

__all__ = ["ConversionReport", "ExportReport", "Limits", "convert", "export"]
