"""The desk: sessions, recordings, the server, and the page in a real browser."""
