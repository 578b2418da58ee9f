"""Many bundles into packs: inputs, outputs, tasks, what is up to date, workers, reports."""
