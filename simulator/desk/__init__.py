"""The desk: a campus in a browser, where every click is a verb of a scenario."""
