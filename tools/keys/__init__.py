"""The card centre's keys: one root that two persons open, and everything that follows from it."""
