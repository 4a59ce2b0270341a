"""The languages that endpoints speak: requests, bills and errors as data, without any I/O."""
