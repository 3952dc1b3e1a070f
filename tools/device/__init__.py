"""Bare boards become readers: base image, partitions, program, identity; and what ails one."""
