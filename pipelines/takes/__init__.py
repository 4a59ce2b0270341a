"""The takes: their store, those that are there, the recovery after killed runs, and the numbered frames."""
