"""The rules every tier must agree on: pure functions, integers only, time as an argument."""
