"""Hardware, cards, networks and people as models, and the desk on which one sees it all."""
