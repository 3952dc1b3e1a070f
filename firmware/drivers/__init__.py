"""One file per chip or card protocol; each talks to a board object and to nothing else."""
