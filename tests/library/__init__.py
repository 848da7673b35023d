"""An ordinary Django application, to which vinyl was added with one line per model."""
