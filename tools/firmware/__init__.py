"""Releases of firmware: built of this source, signed offline, and as packages for other builds."""
