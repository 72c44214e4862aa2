"""The authors' side: workflows, steps, and the binding of parameters. Imports only the core."""
