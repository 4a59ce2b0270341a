"""The FLUX image API: its wire format, one attempt over HTTP, and when to send again."""
