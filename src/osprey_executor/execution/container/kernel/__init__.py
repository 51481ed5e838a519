"""What is sent into a Jupyter kernel with each run. Standard library only, Python 3.9 and newer.

Nothing here is a boundary: whoever has the kernel's user can change it. `line` is also our own end of the same line.
"""
