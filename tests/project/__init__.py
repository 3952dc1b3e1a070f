"""Tests of the project around the code: lock files, make targets, house rules, documents."""
