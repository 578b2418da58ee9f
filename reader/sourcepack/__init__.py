"""Reader of `.srcpack` files and of the SourceBundle zips they are made from."""
