"""Letters of the world's scripts: their fonts, text laid out in lines, and its drawing; the same on every machine."""
