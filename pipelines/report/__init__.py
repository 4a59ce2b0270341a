"""The report: thumbnails, contact sheet and page, and what the ledger says of runs, takes and costs."""
