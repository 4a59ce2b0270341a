"""Image APIs: one attempt over HTTP, what an answer means, when to retry, what an image costs."""
