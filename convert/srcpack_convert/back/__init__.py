"""A pack into something else: a zip, a folder, a comparison."""
