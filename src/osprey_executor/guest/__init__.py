"""All of this package that exists inside a sandbox, mounted there as `osprey_executor`; nobody imports it outside.

Standard library only, Python 3.9 and newer; numpy, pandas and matplotlib are used where the program's environment has
them. Everything here runs beside the program and can be changed by it, so nothing here is a boundary.
"""
