"""Tests of firmware.drivers and of the purse above them, on register models."""
