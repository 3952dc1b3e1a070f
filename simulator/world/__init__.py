"""The world outside the readers: time, randomness, network and mains."""
