"""Many bundles into packs: outputs, tasks, what is up to date, workers, reports."""
