"""The door in a notebook: `%load_ext osprey_executor`. Needs IPython, which a notebook brings along."""
