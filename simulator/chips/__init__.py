"""Register and memory models of the chips a reader is built from."""
