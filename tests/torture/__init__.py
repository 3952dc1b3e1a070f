"""Tests of the firmware's services and of the POS: journal, records, clock, till."""
