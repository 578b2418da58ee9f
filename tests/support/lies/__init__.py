"""Lies that a pack can tell, by what they are about; `support.pack_lies` tells them."""
