"""How long tests wait for what others bring about, in one place: none of it says anything about speed."""

import os

# Raise it where everything takes much longer, as under an emulator.
PATIENCE = float(os.environ.get("STORYREEL_TEST_PATIENCE", "1"))
# For what comes within a second or two on an idle machine, and within a minute on one that is busy elsewhere.
WAIT_S = 240 * PATIENCE
