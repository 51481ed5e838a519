"""The doors of the service: command line, notebook, capability. Each imports the service, none another room."""
