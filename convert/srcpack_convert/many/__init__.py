"""Many bundles into packs: inputs, outputs, resume, workers, reports."""
