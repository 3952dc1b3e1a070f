"""What of the regulation is proven, by what, and when: `onecard report compliance`."""
