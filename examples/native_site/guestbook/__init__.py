"""A guest book: who is logged in may sign it. An ordinary synchronous site, in which nothing knows of vinyl."""
