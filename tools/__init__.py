"""What people run: the onecard command, the checks of this repository, benchmarks."""
