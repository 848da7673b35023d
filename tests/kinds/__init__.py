"""An application of models of the less usual kinds. Its tables are made without migrations."""
