"""Thin seams to what others wrote: MQTT (paho) and SQLite. No rule of ours lives here."""
