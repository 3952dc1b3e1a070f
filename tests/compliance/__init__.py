"""Tests of `onecard report compliance`."""
