"""The ledger: every attempt is written down before it is sent, and the gate admits it."""
