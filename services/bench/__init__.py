"""``muster bench``: the floor, Muster and its peers side by side, on the same servers, in one run."""
