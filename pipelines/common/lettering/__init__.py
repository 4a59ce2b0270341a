"""Letters of the world's scripts: fonts, the layout of text in lines, and its drawing; the same on every machine."""
